"""``dse compress``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse.cli.options import Format, Output, Quiet, command
from dse.cli.output import emit

if TYPE_CHECKING:
    from numpy.typing import NDArray

app = command()

GENERATED = (1024, 1024)
"""Shape of a generated tensor."""


@app.command()
def compress(
    tensor_file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help=".npy or .safetensors; a generated tensor where not given")
    ] = None,
    tensor: Annotated[str | None, typer.Option(metavar="NAME", help="tensor of a file that holds several")] = None,
    shape: Annotated[str | None, typer.Option(metavar="AxB", help="of a generated tensor; 1024x1024")] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="share to prune, 0 for none; the zeros of a file, or half of a generated tensor"
        ),
    ] = None,
    rho: Annotated[float, typer.Option(metavar="RHO", help="correlation of a generated mask within blocks")] = 0.0,
    block: Annotated[int, typer.Option(metavar="N", help="weights of such a block", min=1)] = 100,
    bits: Annotated[int, typer.Option(metavar="B", help="bits of a nonzero, 2 to 8, or 16 for float16")] = 4,
    group: Annotated[int, typer.Option(metavar="G", help="weights that share a scale, 0 for a row", min=0)] = 128,
    pattern: Annotated[str, typer.Option(metavar="N:M", help="of the patterned formats")] = "2:4",
    n_in: Annotated[int, typer.Option("--n-in", metavar="N", help="bits per step of the XOR code")] = 8,
    n_out: Annotated[
        int | None, typer.Option("--n-out", metavar="N", help="bits that it yields per step; the most N_in pays for")
    ] = None,
    shift_registers: Annotated[
        list[int] | None,
        typer.Option(
            metavar="K", help="registers of the XOR code; 0 and 1; repeatable; 2 of 8 bits take 100 times as long as 1"
        ),
    ] = None,
    interleaved: Annotated[bool, typer.Option("--interleaved", help="interleave before the XOR code")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="format to run; all; repeatable")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="seed of tensor and code", min=0)] = 0,
    output: Output = Format.table,
    quiet: Quiet = False,
) -> None:
    """Compress one tensor in every format; check the round trip.

    The tensor is pruned, quantised, stored and read back, and what is stored is compared with the entropy of its codes.
    Formats that the tensor does not suit are listed with the reason.

    Example: dse compress layer.safetensors --tensor model.layers.0.mlp.up_proj.weight --sparsity 0.5

    Example: dse compress --shape 512x512 --sparsity 0

    Example: dse compress --shape 512x512 --sparsity 0.9 --rho 0.1 --bits 3
    """
    from cost_models.errors import CompressionError
    from dse.errors import TensorError
    from dse.render.terminal import counted_display
    from dse.render.terminal.compression import compression_parts
    from dse.weight_codes.codecs import Compressed, NotApplicable, each_format, format_names
    from dse.weight_codes.pruning import check_sparsity

    try:
        if sparsity:
            check_sparsity(sparsity)
        weights, prune = _tensor(tensor_file, tensor, shape, sparsity, rho, block, seed)
        options = {
            "sparsity": prune, "bits": bits, "group": group, "pattern": _pair(pattern, ":"), "n_in": n_in,
            "n_out": n_out, "shift_registers": tuple(shift_registers or (0, 1)), "interleaved": interleaved,
            "seed": seed,
        }  # fmt: skip
        planned = len(only) if only else len(format_names(**options))
        result: list[Compressed] = []
        left_out: list[NotApplicable] = []
        with counted_display("formats") as show:
            show(0, planned)
            for one in each_format(weights, formats=only or None, **options):
                if isinstance(one, Compressed):
                    result.append(one)
                else:
                    left_out.append(one)
                show(len(result) + len(left_out), planned)
        if left_out and (only or not result):
            raise CompressionError("; ".join(dict.fromkeys(one.reason for one in left_out)))
    except CompressionError as error:
        raise TensorError(f"{tensor_file}: {error}" if tensor_file else str(error)) from None
    lost = [record.format for record in result if not record.lossless]
    assert not lost, f"codes did not come back from {', '.join(lost)}"
    records = [{**asdict(record), "efficiency": record.efficiency} for record in result]
    emit(
        output,
        lambda: compression_parts(result, left_out, weights, str(tensor_file or "generated tensor"), block, prune),
        lambda: {
            "tensor": str(tensor_file or "generated"),
            "shape": weights.shape,
            "formats": records,
            "not_applicable": [asdict(one) for one in left_out],
        },
        lambda: (tuple(records[0]), [tuple(record.values()) for record in records]),
    )


def _tensor(
    path: Path | None, name: str | None, shape: str | None, sparsity: float | None, rho: float, block: int, seed: int
) -> tuple[NDArray[Any], float | None]:
    """Return the weights and the share that is still to be pruned."""
    from dse.errors import TensorError
    from dse.weight_codes.pruning import generate_matrix
    from dse.weight_codes.tensors import read_tensor

    if path is not None:
        if shape is not None or rho:
            raise TensorError(f"{path}: --shape and --rho are for generated tensors, not for one from a file")
        return read_tensor(path, name), sparsity or None
    if name is not None:
        raise TensorError(f"--tensor {name} names a tensor of a file; give the file")
    sizes = GENERATED if shape is None else _pair(shape, "x")
    return generate_matrix(sizes, sparsity=0.5 if sparsity is None else sparsity, block=block, rho=rho, seed=seed), None


def _pair(text: str, between: str) -> tuple[int, int]:
    from cost_models.errors import shown
    from dse.errors import TensorError
    from dse.number_texts import whole_number

    first, second, *others = [*(whole_number(part.strip()) for part in text.split(between)), None]
    if first is None or second is None or others != [None]:
        raise TensorError(f"{shown(text)} must be two whole numbers with {between!r} between them, like 2{between}4")
    return first, second

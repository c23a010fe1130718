"""``dse compress``: one tensor pruned, quantised and stored in every format, read back and measured."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.codes.bitstream import CompressionError
from cost_models.codes.codecs import Compressed, compress_matrix
from cost_models.codes.lanes import block_correlation
from cost_models.codes.pruning import check_sparsity, generate_matrix
from dse.errors import TensorError
from dse.tensors import read_tensor
from dse.terminal import console, print_lines, print_table
from dse.terminal.tables import Table, csv_text, number_text

GENERATED = (1024, 1024)


def compress_tensor(
    path: Path | None,
    *,
    tensor: str | None,
    shape: str | None,
    sparsity: float | None,
    rho: float,
    block: int,
    only: list[str],
    pattern: str,
    shift_registers: list[int],
    output: str,
    **options: Any,
) -> list[Compressed]:
    """Print what every format stores for a tensor.

    Args:
        path: file of the tensor; a generated one where None.
        tensor: its name in the file.
        shape: of a generated tensor, like 1024x1024.
        sparsity: share of weights to prune: by magnitude in a file, at random in a generated tensor.
        rho: correlation of a generated mask within blocks.
        block: weights of such a block.
        only: names of formats; all where empty.
        pattern: N:M of the patterned formats.
        shift_registers: of the XOR codes, one format for each.
        output: "table", "json" or "csv".
        options: further fields of `cost_models.codes.codecs.Options`.

    Raises:
        TensorError: a file, tensor or option that cannot be used.
    """
    try:
        if sparsity is not None:
            check_sparsity(sparsity)
        weights, prune = _tensor(path, tensor, shape, sparsity, rho, block, options["seed"])
        found = compress_matrix(
            weights,
            formats=only or None,
            sparsity=prune,
            pattern=_pair(pattern, ":"),
            shift_registers=tuple(shift_registers) or (0, 1),
            **options,
        )
    except CompressionError as error:
        raise TensorError(f"{path}: {error}" if path else str(error)) from None
    lost = [record.format for record in found if not record.lossless]
    assert not lost, f"codes did not come back from {', '.join(lost)}"
    _print(found, weights, path, block, output)
    return found


def _tensor(
    path: Path | None, name: str | None, shape: str | None, sparsity: float | None, rho: float, block: int, seed: int
) -> tuple[NDArray[Any], float | None]:
    """Return the weights and the share that is still to be pruned."""
    if path is not None:
        if shape is not None or rho:
            raise TensorError(f"{path}: --shape and --rho are for generated tensors, not for one from a file")
        return read_tensor(path, name), sparsity
    if name is not None:
        raise TensorError(f"--tensor {name} names a tensor of a file; give the file")
    sizes = GENERATED if shape is None else _pair(shape, "x")
    return generate_matrix(sizes, sparsity=0.5 if sparsity is None else sparsity, block=block, rho=rho, seed=seed), None


def _pair(text: str, between: str) -> tuple[int, int]:
    parts = text.split(between)
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise TensorError(f"{text!r} must be two whole numbers with {between!r} between them, like 2{between}4")
    return int(parts[0]), int(parts[1])


def _print(found: list[Compressed], weights: NDArray[Any], path: Path | None, block: int, output: str) -> None:
    records = [{**asdict(record), "efficiency": record.efficiency} for record in found]
    if output == "json":
        rows = [{key: None if value != value else value for key, value in record.items()} for record in records]
        source = str(path) if path else "generated"
        print(json.dumps({"tensor": source, "shape": list(weights.shape), "formats": rows}, indent=2, allow_nan=False))
        return
    if output == "csv":
        print(csv_text(tuple(records[0]), [list(record.values()) for record in records]), end="")
        return
    out = console()
    name = f"{path or 'generated tensor'}, {' x '.join(map(str, weights.shape))}"
    print_lines(out, _words(weights, block), heading=name)
    print_table(out, _table(found))
    print_lines(
        out,
        [
            "stored, scales, entropy: bits per weight; share: entropy over stored, scales apart in both",
            "XOR hit: survivors that the XOR code reproduces before corrections",
            "error: of the weights, by pruning and rounding; every format gave every code back",
        ],
    )


def _words(weights: NDArray[Any], block: int) -> list[str]:
    survivors = np.asarray(weights != 0).reshape(-1)
    share = 1 - float(survivors.mean())
    lines = [f"{share:.2%} of the weights are 0 before pruning"]
    blocks = survivors[: len(survivors) // block * block].reshape(-1, block).sum(axis=1)
    if 0 < share < 1 and len(blocks) > 1 and block > 1 and 0 < blocks.mean() < block:
        rho = block_correlation(blocks, block)
        lines.append(f"correlation of survivors in blocks of {block}: {number_text(round(rho, 4), 3)}")
    return lines


def _table(found: list[Compressed]) -> Table:
    headings = (
        "format", "zeros\n%", "stored\nbit", "scales\nbit", "entropy\nbit", "share\n%", "XOR hit\n%", "error\n%",
        "write\ns", "read\ns",
    )  # fmt: skip
    rows = tuple(
        (
            one.format,
            f"{100 * one.sparsity:.2f}",
            f"{one.stored_bits:.4f}",
            f"{one.scale_bits:.4f}",
            f"{one.entropy_bound:.4f}",
            f"{100 * one.efficiency:.1f}",
            "-" if math.isnan(one.encoding_efficiency) else f"{100 * one.encoding_efficiency:.2f}",
            number_text(100 * one.relative_error, 3),
            number_text(one.encode_s, 2),
            number_text(one.decode_s, 2),
        )
        for one in found
    )
    return Table("", headings, rows)

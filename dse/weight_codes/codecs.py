"""A matrix pruned, quantised and stored in every format, read back and compared: sizes measured, not assumed."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray
from cost_models.weights.entropy import binary_entropy
from dse.weight_codes.binary_coding import binary_code
from dse.weight_codes.coding import XorCode, outputs_at
from dse.weight_codes.containers import Bitmap, Codes, Container, Csr, Dense, RiceGaps, RunLength
from dse.weight_codes.entropy_coding import EntropyCoded, brain_patterns, empirical_entropy
from dse.weight_codes.patterns import NofM, Tiled
from dse.weight_codes.planes import XorPlanes
from dse.weight_codes.pruning import check_matrix, check_pattern, check_sparsity, magnitude_mask, nm_mask
from dse.weight_codes.quantising import quantise

HALF_BITS = 16
SECOND_GROUP = 256
"""Scales that share a scale of their own, as in QLoRA (arXiv 2305.14314, section 3)."""


@dataclass(frozen=True)
class Compressed:
    """One format's result for one matrix.

    Attributes:
        format: name of the format.
        sparsity: share of weights that are zero as stored.
        stored_bits: bits per weight of the matrix, with all metadata.
        scale_bits: of these, bits of scales and zero points.
        entropy_bound: least bits per weight of a lossless code that takes weights one by one, from the distribution of
            the codes that are there, scales apart; of patterns, from that of the nonzeros.
        encode_s: seconds to write.
        decode_s: seconds to read back.
        lossless: whether every code came back.
        relative_error: root of the squared error of the weights over that of leaving all out: what pruning and rounding
            have changed, not a loss of the format.
        encoding_efficiency: XOR code: share of nonzeros reproduced before corrections; NaN for others.
    """

    format: str
    sparsity: float
    stored_bits: float
    scale_bits: float
    entropy_bound: float
    encode_s: float
    decode_s: float
    lossless: bool
    relative_error: float
    encoding_efficiency: float = math.nan

    @property
    def efficiency(self) -> float:
        """Entropy bound over stored bits, scales apart in both."""
        return self.entropy_bound / (self.stored_bits - self.scale_bits)


@dataclass(frozen=True)
class NotApplicable:
    """A format that cannot store a matrix.

    Attributes:
        format: name of the format.
        reason: why.
    """

    format: str
    reason: str


@dataclass(frozen=True)
class CodecOptions:
    """How `compress_matrix` prunes, quantises and codes.

    Attributes:
        sparsity: share to prune by magnitude; None takes the zeros that are there.
        bits: bits of a nonzero, 2 to 8, or 16 for half precision without scales.
        group: weights that share a scale, 0 for one per row.
        symmetric: symmetric groups; otherwise with a zero point.
        pattern: n and m of the N:M formats.
        n_in: bits per step of the XOR code.
        n_out: outputs per step, None for the most that the inputs pay for.
        shift_registers: numbers of registers, one XOR format for each.
        xor_mask: how the XOR code stores its mask.
        interleaved: interleave before the XOR code.
        run_bits: bits of a run, None for the best.
        seed: seed of the XOR code and the interleaver.
    """

    sparsity: float | None = None
    bits: int = 4
    group: int = 128
    symmetric: bool = True
    pattern: tuple[int, int] = (2, 4)
    n_in: int = 8
    n_out: int | None = None
    shift_registers: tuple[int, ...] = (0, 1)
    xor_mask: Literal["bitmap", "rice"] = "bitmap"
    interleaved: bool = False
    run_bits: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class _Source:
    """A matrix as codes, and what they cost besides."""

    codes: Codes
    bits: int
    scale_bits: int
    relative_error: float


def compress_matrix(
    matrix: NDArray[Any], *, formats: Collection[str] | None = None, **options: Any
) -> list[Compressed]:
    """Return what every format stores for a matrix, in the order of `format_names`.

    Args and errors are those of `each_format`, and

    Raises:
        CompressionError: a format that does not apply to the matrix.
    """
    results = []
    for one in each_format(matrix, formats=formats, **options):
        if isinstance(one, NotApplicable):
            raise CompressionError(one.reason)
        results.append(one)
    return results


def each_format(
    matrix: NDArray[Any], *, formats: Collection[str] | None = None, **options: Any
) -> Iterator[Compressed | NotApplicable]:
    """Yield what every format stores for a matrix, or why it cannot, in the order of `format_names`.

    Unstructured formats store the matrix pruned by magnitude (or with the zeros it has), N:M formats the same matrix
    pruned to the pattern, dense formats all weights. Nonzeros are rounded to a level other than zero, so that
    quantisation prunes nothing more.

    Args:
        matrix: real and finite; a vector is one row, further axes are joined into rows.
        formats: names to run, None for all that `format_names` gives for these options.
        options: fields of `CodecOptions`.

    Raises:
        CompressionError: a tensor or an option that no format can use; says which and why.
    """
    settings = CodecOptions(**options)
    _check_options(settings)
    containers = format_containers(settings)
    unknown = [name for name in formats or () if name not in containers]
    if unknown:
        raise CompressionError(f"{unknown[0]!r} is not a format; there are {', '.join(containers)}")
    weights = check_matrix(matrix)
    weights = weights.reshape(-1, weights.shape[-1] if weights.ndim else 1)
    sources: dict[str, _Source | CompressionError] = {}
    for name, (kind, container) in containers.items():
        if formats is not None and name not in formats:
            continue
        if kind not in sources:
            try:
                sources[kind] = _source(weights, kind, settings)
            except CompressionError as error:
                sources[kind] = error
        source = sources[kind]
        if isinstance(source, CompressionError):
            yield NotApplicable(name, str(source))
            continue
        try:
            yield _measure(name, container, source)
        except CompressionError as error:
            yield NotApplicable(name, str(error))


def _check_options(options: CodecOptions) -> None:
    """Refuse what no tensor could be stored with."""
    if options.bits != HALF_BITS and not 2 <= options.bits <= 8:
        raise CompressionError(f"codes must have {HALF_BITS} bits or 2 to 8 bits, got {options.bits}")
    if options.sparsity is not None:
        check_sparsity(options.sparsity)
    check_pattern(*options.pattern, options.pattern[1])
    for registers in options.shift_registers:
        XorCode(options.n_in, options.n_in if options.n_out is None else options.n_out, registers)


def format_names(**options: Any) -> tuple[str, ...]:
    """Return the names of the formats that `compress_matrix` runs with these options."""
    return tuple(format_containers(CodecOptions(**options)))


def format_containers(options: CodecOptions) -> Mapping[str, tuple[str, Container]]:
    """Return per format the kind of matrix that it stores and its container.

    Kinds: dense (symmetric or not as the options say), asymmetric, double (scales quantised again), binary (binary
    coding), bfloat16, unstructured and pattern.
    """
    n, m = options.pattern
    formats: dict[str, tuple[str, Container]] = {
        "group": ("dense", Dense()),
        "ans": ("dense", EntropyCoded()),
        "ans_bf16": ("bfloat16", EntropyCoded()),
    }
    if options.bits < HALF_BITS:
        formats["group_asymmetric"] = ("asymmetric", Dense())
        formats["group_double"] = ("double", Dense())
        formats["binary_coded"] = ("binary", Dense())
    formats |= {
        "ans_pruned": ("unstructured", EntropyCoded()),
        "bitmap": ("unstructured", Bitmap()),
        "rice": ("unstructured", RiceGaps()),
        "run_length": ("unstructured", RunLength(options.run_bits)),
        "csr16": ("unstructured", Csr(16)),
        "csr32": ("unstructured", Csr(32)),
        "tiled": ("unstructured", Tiled()),
        f"nm_{n}of{m}": ("pattern", NofM(n, m)),
        f"nm_{n}of{m}_ranked": ("pattern", NofM(n, m, ranked=True)),
    }
    # The nominal sparsity sets the code: a share that is off by one weight must not change its sizes.
    n_out = options.n_out
    if n_out is None and options.sparsity is not None:
        n_out = outputs_at(options.n_in, options.sparsity)
    for registers in options.shift_registers:
        code = XorPlanes(
            options.n_in, registers, n_out, mask=options.xor_mask, interleaved=options.interleaved, seed=options.seed
        )
        formats[f"xor_{options.n_in}x{registers}"] = ("unstructured", code)
    return formats


def entropy_bound(codes: Codes, nonzero_bits: float, *, pattern: tuple[int, int] | None = None) -> float:
    """Return the least bits per weight of a lossless code for masks and nonzeros like these.

    Without zeros b; unstructured H(S) + (1 - S) b; with a pattern log2 C(m, n) / m + (n / m) b. S is counted.
    """
    if pattern is not None:
        n, m = pattern
        return math.log2(math.comb(m, n)) / m + n / m * nonzero_bits
    share = np.count_nonzero(codes) / codes.size
    return float(binary_entropy(share)) + share * nonzero_bits


def _least_bits(codes: Codes, pattern: tuple[int, int] | None) -> float:
    """Return the entropy of codes; with a pattern the lower of that and the pattern's with its nonzeros."""
    whole = empirical_entropy(codes)
    if pattern is None:
        return whole
    return min(whole, entropy_bound(codes, empirical_entropy(codes[codes != 0]), pattern=pattern))


def _source(weights: FloatArray, kind: str, options: CodecOptions) -> _Source:
    """Return the matrix pruned and quantised as a kind of format needs it."""
    if kind == "binary":
        coded = binary_code(weights, bits=options.bits, group=options.group)
        return _Source(coded.codes, coded.bits, coded.scale_bits, _relative_error(weights, coded.weights()))
    if kind == "bfloat16":
        patterns = brain_patterns(weights)
        stored = (patterns.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
        return _Source(patterns, HALF_BITS, 0, _relative_error(weights, stored))
    mask = _nonzeros(weights, kind, options)
    if options.bits == HALF_BITS:
        return _half_precision(weights, mask)
    quantised = quantise(
        weights,
        bits=options.bits,
        group=options.group,
        symmetric=options.symmetric and kind != "asymmetric",
        second_group=SECOND_GROUP if kind == "double" else 0,
        mask=mask,
    )
    return _Source(quantised.codes, options.bits, quantised.scale_bits, _relative_error(weights, quantised.weights()))


def _nonzeros(weights: FloatArray, kind: str, options: CodecOptions) -> NDArray[np.bool_] | None:
    if kind == "pattern":
        return np.asarray(nm_mask(weights, n=options.pattern[0], m=options.pattern[1]) & (weights != 0))
    if kind != "unstructured":
        return None
    if options.sparsity is not None:
        return magnitude_mask(weights, sparsity=options.sparsity)
    mask = np.asarray(weights != 0)
    if mask.all() or not mask.any():
        raise CompressionError(
            f"sparse formats need zeros and nonzeros; the tensor has {'no zero' if mask.all() else 'only zeros'}: "
            "give a sparsity to prune to"
        )
    return mask


def _half_precision(weights: FloatArray, mask: NDArray[np.bool_] | None) -> _Source:
    """Return float16 patterns as codes; nonzeros that would round to 0 become the least number above it."""
    greatest = float(np.finfo(np.float16).max)
    if np.abs(weights).max() > greatest:
        raise CompressionError(f"a weight of {np.abs(weights).max():g} does not fit float16")
    tiny = float(np.finfo(np.float16).smallest_subnormal)
    if mask is None:
        half = weights.astype(np.float16)
    else:
        half = np.where(mask, np.copysign(np.maximum(np.abs(weights), tiny), weights), 0.0).astype(np.float16)
    return _Source(half.view(np.uint16), HALF_BITS, 0, _relative_error(weights, half.astype(np.float64)))


def _relative_error(weights: FloatArray, stored: FloatArray) -> float:
    whole = float(np.linalg.norm(weights))
    return float(np.linalg.norm(weights - stored)) / whole if whole else 0.0


def _measure(name: str, container: Container, source: _Source) -> Compressed:
    """Store, read back, compare and count."""
    started = time.perf_counter()
    reproduced = math.nan
    if isinstance(container, XorPlanes):
        stored, reproduced = container.write_measured(source.codes, source.bits)
    else:
        stored = container.write(source.codes, source.bits)
    written = time.perf_counter()
    back = container.read(stored)
    done = time.perf_counter()
    count = source.codes.size
    pattern = (container.n, container.m) if isinstance(container, NofM) else None
    return Compressed(
        format=name,
        sparsity=1 - np.count_nonzero(source.codes) / count,
        stored_bits=(stored.size + source.scale_bits) / count,
        scale_bits=source.scale_bits / count,
        entropy_bound=_least_bits(source.codes, pattern),
        encode_s=written - started,
        decode_s=done - written,
        lossless=bool(np.array_equal(back, source.codes)),
        relative_error=source.relative_error,
        encoding_efficiency=reproduced,
    )

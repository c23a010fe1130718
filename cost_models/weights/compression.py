"""Stored bits per weight, with every bit of metadata, and the entropy bound beside them.

Equations: the fields of a format are those of ``weight_formats.yaml``; b are the bits of a stored weight,
S the sparsity, H the binary entropy. Fields may be ``(n,)`` columns (`cost_models.weights.weight_storage`), and so are
results then.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from cost_models.library import WeightFormat
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.weights.decoder import plane_bits
from cost_models.weights.entropy import binary_entropy

LONGEST_RUN_BITS = 16
"""Bits of a run up to which the best run-length code is looked for."""


def scale_bits_per_weight(form: WeightFormat) -> FloatArray:
    """Return bits of scales and zero points per weight of a uniform group quantisation.

    (s + z) / g, and for doubly quantised scales s8 / g + s / (g g2) (QLoRA, arXiv 2305.14314, section 3); none are
    counted for one scale per output channel (g = 0).
    """
    per_group = form.scale_bits + asarray(form.zero_bits)
    if form.second_group:
        per_group = per_group + form.second_scale_bits / form.second_group
    return _shared(per_group, form)


def _shared(per_group: Number, form: WeightFormat) -> FloatArray:
    """Return what a weight has of the bits that its group keeps; nothing of those of an output channel (g = 0)."""
    group = asarray(form.group or 0, dtype=np.float64) if np.ndim(form.group) == 0 else asarray(form.group)
    return asarray(np.where(group > 0, per_group / np.maximum(group, 1), 0.0))[()]


def run_length_bits(bits: Number, sparsity: Number, run_bits: int) -> FloatArray:
    """Return stored bits of a run-length code with `run_bits` per run, padding entries included.

    (1-S)(1+f)(b+k) with f = S^(2^k) / (1 - S^(2^k)) expected padding entries per nonzero.
    """
    overflow = asarray(sparsity, dtype=np.float64) ** (2**run_bits)
    return asarray((1 - sparsity) * (1 + overflow / (1 - overflow)) * (bits + run_bits))


def xor_outputs(form: WeightFormat) -> FloatArray:
    """Return the bits that one step of the XOR code yields, N_out.

    Where the format does not say, floor(N_in / (1 - S)), the most that its inputs pay for.
    """
    whole = asarray(form.n_in, dtype=np.float64) / (1 - asarray(form.sparsity))
    given = asarray(form.n_out, dtype=np.float64)
    return asarray(np.where(given > 0, given, np.floor(whole * (1 + 1e-12))))


def xor_bits(form: WeightFormat) -> FloatArray:
    """Return stored bits of the fixed-to-fixed XOR code, mask included.

    1 + b [N_in/N_out + (1-S)(1-E) c + 1/P], mask as a bitmap; c = ceil(log2 P) + 1 correction bits for each nonzero
    that the code cannot reproduce, and a bit that ends the list of every block of P (Lee et al., ICLR 2022, for the
    code; the correction layout is this project's).
    """
    planes = plane_bits(
        form.n_in, xor_outputs(form), form.sparsity, form.encoding_efficiency, correction_block=form.correction_block
    )
    return asarray(1.0 + asarray(form.weight_bits) * planes)


def nm_mask_bits(form: WeightFormat) -> FloatArray:
    """Return log2 C(M, N) / M: what the mask of an N:M pattern costs at least, per weight."""
    from scipy import special

    n, m = asarray(form.n, dtype=np.float64), asarray(form.m, dtype=np.float64)
    ways = special.gammaln(m + 1) - special.gammaln(n + 1) - special.gammaln(m - n + 1)
    return asarray(ways / np.log(2) / m)


def stored_bits(form: WeightFormat) -> FloatArray:
    """Return the bits that one weight of the original matrix takes in memory, all metadata included."""
    b, nonzeros = asarray(form.weight_bits, dtype=np.float64), 1 - asarray(form.sparsity, dtype=np.float64)
    scales = scale_bits_per_weight(form)
    match form.kind:
        case "dense" | "group" | "double_group":
            bits = b if form.coded_bits is None else asarray(form.coded_bits)
        case "binary_coded":
            # Each bit plane has its own scale, and one offset per group (LUT-GEMM, arXiv 2206.09557).
            bits, scales = b, _shared(b * form.scale_bits + form.zero_bits, form)
        case "codebook":
            bits, scales = b, np.zeros(())
        case "bitmap":
            bits = 1 + nonzeros * b
        case "csr":
            bits = nonzeros * (b + form.index_bits) + form.row_pointer_bits / form.columns
        case "tiled":
            bits = nonzeros * (b + form.index_bits)
        case "run_length":
            runs = [run_length_bits(b, 1 - nonzeros, k) for k in range(1, LONGEST_RUN_BITS + 1)]
            bits = reduce(np.minimum, runs)
        case "nm":
            bits = asarray(form.n) / asarray(form.m) * (b + form.index_bits)
        case "xor":
            bits = xor_bits(form)
    return asarray(bits + scales)[()]


def entropy_bound(form: WeightFormat) -> FloatArray:
    """Return the least bits per weight of any lossless code of the same nonzeros, scales and zero points apart.

    Unstructured: H(S) + (1-S) b. N:M: log2 C(M, N) / M + (N/M) b. Formats without a mask: b. The padding entries of a
    run-length code take one value from the nonzeros, which are worth log2(2^b - 1) bits there.
    """
    b, sparsity = asarray(form.weight_bits, dtype=np.float64), asarray(form.sparsity, dtype=np.float64)
    if form.kind == "nm":
        return asarray(nm_mask_bits(form) + asarray(form.n) / asarray(form.m) * b)[()]
    if form.coded_bits is not None:
        return asarray(form.coded_bits if form.kind != "codebook" else b)[()]
    width = np.log2(np.exp2(b) - 1) if form.kind == "run_length" else b
    return asarray(binary_entropy(sparsity) + (1 - sparsity) * width)[()]

"""Stored bits per weight, with every bit of metadata, and the entropy bound beside them.

Equations: the fields of a format are those of ``weight_formats.yaml``; b are the bits of a stored weight,
S the sparsity, H the binary entropy.
"""

from __future__ import annotations

import math

from cost_models.library import WeightFormat


def binary_entropy(share: float) -> float:
    """Return H(share) in bits: what a yes-or-no that is yes with that share costs at least."""
    if share in (0.0, 1.0):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


def scale_bits_per_weight(form: WeightFormat) -> float:
    """Return bits of scales and zero points per weight of a uniform group quantisation.

    (s + z) / g, and for doubly quantised scales s8 / g + s / (g g2) (QLoRA, arXiv 2305.14314, section 3).
    """
    if not form.group:
        return 0.0
    bits = (form.scale_bits + form.zero_bits) / form.group
    if form.second_group:
        bits += form.second_scale_bits / (form.group * form.second_group)
    return bits


def run_length_bits(bits: float, sparsity: float, run_bits: int) -> float:
    """Return stored bits of a run-length code with `run_bits` per run, padding entries included.

    (1-S)(1+f)(b+k) with f = S^(2^k) / (1 - S^(2^k)) expected padding entries per survivor.
    """
    overflow = float(sparsity ** (2**run_bits))
    return (1 - sparsity) * (1 + overflow / (1 - overflow)) * (bits + run_bits)


def xor_bits(form: WeightFormat) -> float:
    """Return stored bits of the fixed-to-fixed XOR code, mask included.

    mask + b [N_in/N_out + (1-S)(1-E) c], N_out = N_in / (1-S) rounded to whole outputs, mask as a bitmap;
    c = ceil(log2 P) + 1 correction bits for each survivor that the code cannot reproduce (Lee et al., ICLR 2022,
    for the code; the correction layout is this project's).
    """
    survivors = 1 - form.sparsity
    outputs = round(form.n_in / survivors)
    correction = math.ceil(math.log2(form.correction_block)) + 1
    misses = survivors * (1 - form.encoding_efficiency) * correction
    return 1.0 + form.weight_bits * (form.n_in / outputs + misses)


def stored_bits(form: WeightFormat) -> float:
    """Return the bits that one weight of the original matrix takes in memory, all metadata included."""
    b, survivors = form.weight_bits, 1 - form.sparsity
    match form.kind:
        case "dense":
            bits = b
        case "group" | "double_group":
            return b + scale_bits_per_weight(form)
        case "binary_coded":
            # Each bit plane has its own scale, and one offset per group (LUT-GEMM, arXiv 2206.09557).
            return b * (1 + form.scale_bits / form.group) + form.zero_bits / form.group
        case "codebook" | "kquant":
            return b
        case "bitmap":
            bits = 1 + survivors * b
        case "csr":
            bits = survivors * (b + form.index_bits) + form.row_pointer_bits / form.columns
        case "tiled":
            bits = survivors * (b + form.index_bits)
        case "run_length":
            bits = min(run_length_bits(b, form.sparsity, k) for k in range(1, 17))
        case "nm":
            bits = form.n / form.m * (b + form.index_bits)
        case "xor":
            bits = xor_bits(form)
        case _:
            raise ValueError(f"{form.key}: {form.kind!r} is not a kind of weight format")
    return bits + scale_bits_per_weight(form)


def entropy_bound(form: WeightFormat) -> float:
    """Return the least bits per weight of any lossless code of the same survivors, scales and zero points apart.

    Unstructured: H(S) + (1-S) b. N:M: log2 C(M, N) / M + (N/M) b. Formats without a mask: b.
    """
    b = form.weight_bits
    if form.kind == "nm":
        return math.log2(math.comb(form.m, form.n)) / form.m + form.n / form.m * b
    if form.sparsity:
        return binary_entropy(form.sparsity) + (1 - form.sparsity) * b
    return b

"""What formats store of a tensor, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.weights.lanes import block_correlation
from dse.number_texts import number_text, share_text
from dse.render.terminal.tables import Lines, Part, TextTable
from dse.weight_codes.codecs import Compressed, NotApplicable
from dse.weight_codes.pruning import magnitude_mask


def compression_parts(
    found: Sequence[Compressed],
    left_out: Sequence[NotApplicable],
    weights: NDArray[Any],
    name: str,
    block: int,
    sparsity: float | None,
) -> list[Part]:
    """Return what is known of a tensor, what every format stores of it, and which cannot.

    Args:
        found: one record per format.
        left_out: formats that do not apply.
        weights: the tensor before pruning.
        name: what it is called.
        block: weights of a block whose zeros are correlated.
        sparsity: share to prune, None where the tensor has its zeros.
    """
    notes = [
        "stored, scales, entropy: bits per weight; entropy: of the codes as they are distributed",
        "share: entropy over stored, scales apart in both",
        "XOR hit: nonzeros that the XOR code reproduces before corrections",
        "error: of the weights, by pruning and rounding; every format gave every code back",
    ]
    heading = f"{name}, {' x '.join(map(str, weights.shape))}"
    parts: list[Part] = [Lines(tensor_lines(weights, block, sparsity), heading), codes_table(found), Lines(notes)]
    reasons: dict[str, list[str]] = {}
    for one in left_out:
        reasons.setdefault(one.reason, []).append(one.format)
    if reasons:
        lines = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
        parts.append(Lines(lines, "Formats that do not apply"))
    return parts


def tensor_lines(weights: NDArray[Any], block: int, sparsity: float | None) -> list[str]:
    """Return how many weights are zero, and how the nonzeros hang together, as they are or as pruned."""
    nonzeros = np.asarray(weights != 0)
    lines = [f"{share_text(1 - nonzeros.mean())} of the weights are 0 before pruning"]
    if sparsity is not None:
        nonzeros = magnitude_mask(weights, sparsity=sparsity)
    flat = nonzeros.reshape(-1)
    blocks = flat[: len(flat) // block * block].reshape(-1, block).sum(axis=1)
    if len(blocks) > 1 and block > 1 and 0 < blocks.mean() < block:
        rho = block_correlation(blocks, block)
        pruned = "" if sparsity is None else f", {share_text(sparsity)} pruned by magnitude"
        lines.append(f"correlation of nonzeros in blocks of {block}{pruned}: {number_text(round(rho, 4), 3)}")
    return lines


def codes_table(found: Sequence[Compressed]) -> TextTable:
    """Return what every format stores, a row each."""
    headings = (
        "format", "zeros\n%", "stored\nbit", "scales\nbit", "entropy\nbit", "share\n%", "XOR hit\n%", "error\n%",
        "write\ns", "read\ns",
    )  # fmt: skip
    rows = [
        (one.format, f"{100 * one.sparsity:.2f}", f"{one.stored_bits:.4f}", f"{one.scale_bits:.4f}",
         f"{one.entropy_bound:.4f}", f"{100 * one.efficiency:.1f}",
         "-" if math.isnan(one.encoding_efficiency) else f"{100 * one.encoding_efficiency:.2f}",
         number_text(100 * one.relative_error, 3), number_text(one.encode_s, 2), number_text(one.decode_s, 2))
        for one in found
    ]  # fmt: skip
    return TextTable("", headings, rows)

"""Weights as small integers: uniform quantisation in groups that share a scale.

A code of b bits is the two's complement of q: weight = q * scale. Code 0 is the weight 0 exactly, which is what pruned
weights are stored as. Asymmetric groups have a zero point z: q runs from -z to 2^b - 1 - z, modulo 2^b as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray

Codes = NDArray[np.unsignedinteger[Any]]

SCALE_BITS = 16
SECOND_SCALE_BITS = 8
"""Bits of a scale that is itself quantised: a share of the greatest of its second group."""


@dataclass(frozen=True, eq=False)
class Quantised:
    """Codes and what turns them back into weights.

    Attributes:
        codes: unsigned integers of `bits` bits in the shape of the tensor; 0 is the weight 0.
        bits: bits of a code.
        group: weights of a row that share a scale; the last group of a row may be shorter.
        scales: ``(rows, groups)`` as stored, float16 values.
        zeros: ``(rows, groups)`` zero points, None for symmetric groups.
        second_group: scales that share a scale of their own, 0 when scales are stored as float16.
    """

    codes: Codes
    bits: int
    group: int
    scales: FloatArray
    zeros: NDArray[np.int64] | None = None
    second_group: int = 0

    @property
    def scale_bits(self) -> int:
        """Stored bits of all scales and zero points."""
        count = self.scales.size
        zeros = 0 if self.zeros is None else count * self.bits
        if self.second_group:
            return count * SECOND_SCALE_BITS + -(-count // self.second_group) * SCALE_BITS + zeros
        return count * SCALE_BITS + zeros

    def weights(self) -> FloatArray:
        """Return the weights that the codes stand for."""
        rows = self.codes.reshape(len(self.scales), -1).astype(np.int64)
        index = np.arange(rows.shape[1]) // self.group
        highest = (1 << (self.bits - 1)) - 1 if self.zeros is None else (1 << self.bits) - 1 - self.zeros[:, index]
        signed = rows - np.where(rows > highest, 1 << self.bits, 0)
        return np.asarray((signed * self.scales[:, index]).reshape(self.codes.shape))


def quantise(
    weights: FloatArray,
    *,
    bits: int,
    group: int,
    symmetric: bool = True,
    second_group: int = 0,
    mask: NDArray[np.bool_] | None = None,
) -> Quantised:
    """Return weights rounded to the nearest level of their group.

    Args:
        weights: finite, at least one axis; groups run along the last.
        bits: bits of a code, 2 to 8 (from 1 for asymmetric groups).
        group: weights that share a scale, 0 for one per row.
        symmetric: levels from -(2^(b-1) - 1) to 2^(b-1) - 1; otherwise 2^b levels over the range of the group, 0 among
            them.
        second_group: scales that are stored in 8 bits of a common scale; 0 for float16 scales.
        mask: nonzeros of pruning. The others become 0; nonzeros keep off 0 and take the nearest other level.

    Raises:
        CompressionError: settings out of range, or a scale beyond float16.
    """
    fewest = 2 if symmetric else 1
    if not fewest <= bits <= 8:
        raise CompressionError(f"codes of uniform groups must have {fewest} to 8 bits, got {bits}")
    if group < 0 or second_group < 0:
        raise CompressionError(f"groups must have 0 weights or more, got {min(group, second_group)}")
    blocks, size = _blocks(weights if mask is None else np.where(mask, weights, 0.0), group)
    lowest, highest = np.minimum(blocks.min(axis=2), 0.0), np.maximum(blocks.max(axis=2), 0.0)
    if symmetric:
        half = (1 << (bits - 1)) - 1
        scales = _stored_scales(np.maximum(highest, -lowest) / half, second_group)
        zeros = np.full(scales.shape, half)
        least, most = -zeros, zeros
    else:
        last = (1 << bits) - 1
        scales = _stored_scales((highest - lowest) / last, second_group)
        zeros = np.clip(np.rint(_fractions(-lowest, scales)), 0, last).astype(np.int64)
        least, most = -zeros, last - zeros
    levels = np.rint(_fractions(blocks, scales[..., None]))
    np.clip(levels, least[..., None], most[..., None], out=levels)
    if mask is not None:
        upwards = (blocks >= 0) & (most > 0)[..., None] | (least == 0)[..., None]
        nonzeros = _blocks(mask, group)[0]
        levels[nonzeros & (levels == 0)] = np.where(upwards, 1, -1)[nonzeros & (levels == 0)]
    codes = (levels.astype(np.int16) & ((1 << bits) - 1)).astype(np.uint8)
    codes = codes.reshape(len(codes), -1)[:, : weights.shape[-1]].reshape(weights.shape)
    return Quantised(np.ascontiguousarray(codes), bits, size, scales, None if symmetric else zeros, second_group)


def _blocks(values: NDArray[Any], group: int) -> tuple[NDArray[Any], int]:
    """Return rows cut into groups, ``(rows, groups, size)``, the last filled up with zeros, and the size."""
    rows = values.reshape(-1, values.shape[-1])
    size = group or rows.shape[1]
    groups = -(-rows.shape[1] // size)
    if groups * size != rows.shape[1]:
        rows = np.pad(rows, ((0, 0), (0, groups * size - rows.shape[1])))
    return rows.reshape(len(rows), groups, size), size


def _fractions(values: FloatArray, scales: FloatArray) -> FloatArray:
    """Return values over scales, 0 where a group is all zero."""
    return np.divide(values, scales, out=np.zeros_like(values), where=scales > 0)


def _stored_scales(scales: FloatArray, second_group: int) -> FloatArray:
    """Return scales as they are after being stored, none rounded to 0 that was not 0.

    Raises:
        CompressionError: a scale beyond float16.
    """
    greatest = float(np.finfo(np.float16).max)
    if scales.max() > greatest:
        raise CompressionError(
            f"a scale of {scales.max():g} does not fit float16, whose greatest value is {greatest:g}"
        )
    tiny = float(np.finfo(np.float16).smallest_subnormal)
    if not second_group:
        return np.where(scales > 0, np.maximum(scales.astype(np.float16).astype(np.float64), tiny), 0.0)
    flat = scales.ravel()
    starts = np.arange(0, len(flat), second_group)
    steps = (1 << SECOND_SCALE_BITS) - 1
    unit = np.maximum((np.maximum.reduceat(flat, starts) / steps).astype(np.float16).astype(np.float64), tiny)
    unit = np.repeat(unit, second_group)[: len(flat)]
    shares = np.clip(np.rint(flat / unit), flat > 0, steps)
    return (shares * unit).reshape(scales.shape)

"""How an array works through stored weights: passes and energy per weight and activation.

Per weight of the original matrix, with s = ceil(b / W) ceil(a / A) passes of a W x A unit for b-bit codes (bit-serial
composition), p = 1 - S nonzeros and lane efficiency eta:

    dense       s passes: zeros are multiplied
    direct      s passes on the stored codes, scales applied to sums
    gated       s passes of time, p s of energy: units that meet a zero stand still
    skip        p s / eta passes of time, p s of energy for finding the operands: lanes wait for the most-loaded
    bit_plane   ceil(a / A) b / W: a unit adds W planes at a time, no bit of it idle (BitFusion, ISCA 2018)
    look_up     ceil(a / A) b / k: a look-up of a sum over k bits in place of a pass (LUT-GEMM, arXiv 2206.09557)
    dequantize  16-bit weights, ceil(16 / W) ceil(a / A), and `dequantize_macs` more per weight and tile of rows

N:M patterns keep all lanes equal, eta = 1. Zeros are skipped or gated where a format has any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.library import WeightFormat
from cost_models.library.technology import Technology
from cost_models.table import INACTIVE, Choice, FloatArray, Number, at_codes
from cost_models.tape import as_one, asarray
from cost_models.weights.lanes import lane_efficiency
from cost_models.weights.weight_storage import Storage

EXECUTIONS = ("dense", "direct", "gated", "skip", "bit_plane", "look_up", "dequantize")
"""Ways to execute a format, the names of `weight_execution`."""

WIDE_BITS = 16.0
"""Bits of a weight that has been dequantized for the multiplier."""

LANE_TOLERANCE = 1e-4
"""Error of lane efficiencies along a swept sparsity."""


def executions_of(form: WeightFormat) -> tuple[str, ...]:
    """Return the executions that a format allows: zeros for skipping, integer codes for planes and look-ups."""
    allowed = ["dense", "dequantize"] if form.operand_bits < WIDE_BITS else ["dense"]
    allowed += ["direct"] if form.operand_bits < WIDE_BITS else []
    allowed += ["gated", "skip"] if form.pruning is not None else []
    allowed += ["bit_plane", "look_up"] if form.operand == "int" else []
    return tuple(name for name in EXECUTIONS if name in {*allowed, form.execution})


@dataclass(frozen=True)
class Lanes:
    """Lanes in lockstep of a design that skips zeros; numbers or ``(n,)`` columns.

    Attributes:
        count: lanes.
        block: weights of a lane between two synchronisations.
        depth: blocks that a lane may run ahead.
    """

    count: Number = 1.0
    block: Number = 1.0
    depth: Number = 1.0


@dataclass(frozen=True)
class Execution:
    """Passes of the array per weight and activation, ``(n,)``.

    Attributes:
        time: passes that take a cycle.
        energy: passes that take the energy of one.
        skips: 1 where unstructured zeros are skipped, which takes operand selection in front of every unit.
        dequantize_macs: multiply-accumulates that dequantizing a weight takes, per tile of rows; 0 without.
    """

    time: FloatArray
    energy: FloatArray
    skips: FloatArray
    dequantize_macs: FloatArray


class Work(NamedTuple):
    """What one execution of one format takes, per pass of activations; numbers or ``(n,)`` columns.

    Attributes:
        operand_bits: bits that whole passes are counted for.
        time: passes of time per whole pass.
        energy: passes of energy per whole pass.
        plane_bits: bits that units add plane by plane.
        looks: look-ups in place of passes.
        looks_energy: their energy, in passes.
        skips: 1 where unstructured zeros are skipped.
        dequantize_macs: multiply-accumulates of expansion per weight and tile of rows.
    """

    operand_bits: Number
    time: Number = 1.0
    energy: Number = 1.0
    plane_bits: Number = 0.0
    looks: Number = 0.0
    looks_energy: Number = 0.0
    skips: Number = 0.0
    dequantize_macs: Number = 0.0


def unit_passes(bits: Number, unit_bits: FloatArray, splits: FloatArray) -> FloatArray:
    """Return the passes of a unit that an operand takes on the side of weights: a part of one where it splits.

    ceil(b / W), and 1 / s where b fits one of s parts: the other parts multiply other weights meanwhile.
    """
    whole = np.ceil(bits / unit_bits)
    if (splits == 1).all():
        return asarray(whole)
    part = unit_bits / splits
    return np.where(bits <= part, np.ceil(bits / part) / splits, whole)


def execution(
    storage: Storage,
    chosen: Choice | None,
    *,
    unit_bits: FloatArray,
    unit_splits: FloatArray,
    activation_passes: FloatArray,
    lanes: Lanes,
    technology: Technology,
) -> Execution:
    """Return what executing the stored weights takes.

    Args:
        storage: format of each row.
        chosen: execution of each row; the format's own where None or inactive.
        unit_bits: operand width W of the unit on the side of weights.
        unit_splits: parts that it splits into for narrower weights.
        activation_passes: ceil(a / A).
        lanes: of designs that skip.
        technology: parameters under ``execution``; read only where something is executed so.
    """
    pairs, execution_modes = _pairs(storage, chosen)
    works = [work_of(form, execution_mode, lanes, technology) for form, execution_mode in execution_modes]
    work = Work(*(_column(pairs, entries) for entries in zip(*works, strict=True)))
    whole = unit_passes(work.operand_bits, unit_bits, unit_splits)
    time, energy = whole * work.time, whole * work.energy
    if np.any(asarray(work.plane_bits)) or np.any(asarray(work.looks)):
        planes = work.plane_bits / unit_bits
        time, energy = time + planes + work.looks, energy + planes + work.looks_energy
    return Execution(
        asarray(time * activation_passes),
        asarray(energy * activation_passes),
        asarray(work.skips),
        asarray(work.dequantize_macs),
    )


def _pairs(storage: Storage, chosen: Choice | None) -> tuple[Choice, list[tuple[WeightFormat, str]]]:
    """Return the pair of format and execution of each row, and the pairs; the format's own way where none is chosen."""
    formats = storage.formats
    if chosen is None or (chosen.codes == INACTIVE).all():
        return formats, [(form, form.execution) for form in storage.forms]
    execution_modes = len(chosen.values) + 1
    code = formats.codes * execution_modes + np.where(chosen.codes == INACTIVE, execution_modes - 1, chosen.codes)
    is_met = _is_met(code, len(storage.forms) * execution_modes)
    met = [one for one, there in enumerate(is_met) if there]
    places = np.zeros(len(is_met), dtype=np.intp)
    places[met] = np.arange(len(met))
    result = [(storage.forms[one // execution_modes], (*chosen.values, "")[one % execution_modes]) for one in met]
    names = tuple(str(one) for one in met)
    return Choice(names, at_codes(places, code)), [
        (form, execution_mode or form.execution) for form, execution_mode in result
    ]


@as_one
def _is_met(codes: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    """Return which of so many codes there are."""
    return np.bincount(codes.reshape(-1), minlength=count) > 0


def _column(pairs: Choice, entries: tuple[Number, ...]) -> FloatArray:
    """Return the entry of each row; one row where all entries are the same number."""
    if all(np.ndim(entry) == 0 for entry in entries) and len(set(map(float, entries))) == 1:
        return np.array([float(entries[0])])
    return pairs.gather(entries)


def work_of(form: WeightFormat, execution_mode: str, lanes: Lanes, technology: Technology) -> Work:
    """Return what a format takes when it is executed in a way.

    Args:
        form: the format; its fields may be columns.
        execution_mode: one of `EXECUTIONS`.
        lanes: of designs that skip.
        technology: parameters under ``execution``.
    """
    bits, value = asarray(form.operand_bits, dtype=np.float64)[()], technology.value
    kept = (1 - asarray(form.sparsity, dtype=np.float64))[()]
    match execution_mode:
        case "gated":
            return Work(bits, energy=kept)
        case "skip" if form.kind == "nm":
            return Work(bits, kept, kept)
        case "skip":
            share = lane_efficiency(
                lanes.block,
                kept,
                lanes.count,
                correlation=form.correlation,
                depth=lanes.depth,
                tolerance=LANE_TOLERANCE,
            )
            share = share.reshape(-1)[0] if share.size == 1 else share
            return Work(bits, kept / share, kept * asarray(value("execution.skip_energy_factor"))[()], skips=1.0)
        case "bit_plane":
            return Work(0.0, plane_bits=bits)
        case "look_up":
            looks = (bits / asarray(value("execution.look_up_bits")))[()]
            return Work(0.0, looks=looks, looks_energy=looks * asarray(value("execution.look_up_energy_factor"))[()])
        case "dequantize":
            # A format that is always dequantized says how far.
            wide = bits if form.execution == "dequantize" else np.maximum(bits, WIDE_BITS)
            return Work(wide, dequantize_macs=value("execution.dequantize_macs"))
    return Work(bits)

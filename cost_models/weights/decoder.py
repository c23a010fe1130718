"""The XOR code as the cost model sees it: share of nonzeros reproduced, stored bits, and the decoder's hardware.

The share comes from ``library/data/xor_efficiency.csv``, which ``studies/fits/xor_efficiency.py`` measures by encoding.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cost_models.errors import CompressionError
from cost_models.table import FloatArray
from cost_models.tape import as_one, asarray

TABLE = Path(__file__).parents[1] / "library" / "data" / "xor_efficiency.csv"


@dataclass(frozen=True)
class Measured:
    """Measurements of one n_in and number of registers.

    Attributes:
        sparsities: ``(s,)`` increasing.
        correlations: ``(r,)`` increasing, from 0.
        loads: per sparsity and correlation the increasing loads n_out (1 - S) / n_in.
        log_misses: as `loads`, the logarithm of the share of nonzeros missed.
    """

    sparsities: FloatArray
    correlations: FloatArray
    loads: tuple[tuple[FloatArray, ...], ...]
    log_misses: tuple[tuple[FloatArray, ...], ...]


@as_one
def encoding_efficiency(
    n_in: ArrayLike,
    shift_registers: ArrayLike,
    sparsity: ArrayLike,
    *,
    rho: ArrayLike = 0.0,
    n_out: ArrayLike | None = None,
) -> FloatArray:
    """Return the share of nonzeros that the XOR code reproduces, interpolated between measurements.

    The logarithm of the share missed is linear in load, sparsity and rho between measured points; it never falls with
    load or rho. A row with a NaN gives NaN.

    Args:
        n_in: bits stored per step.
        shift_registers: earlier inputs kept.
        sparsity: S.
        rho: correlation of nonzeros within the weights of one output block.
        n_out: outputs per step; floor(n_in / (1 - S)) if not given, the most that the inputs can pay for.

    Raises:
        CompressionError: sizes, sparsity, rho or load outside what has been measured.
    """
    given = np.nan if n_out is None else n_out
    rows = np.broadcast_arrays(*(asarray(x, np.float64) for x in (n_in, shift_registers, sparsity, rho, given)))
    shape = rows[0].shape
    size, registers, s, correlation, outputs = (row.reshape(-1) for row in rows)
    known = ~(np.isnan(size) | np.isnan(registers) | np.isnan(s) | np.isnan(correlation))
    if n_out is None:
        if (s[known] >= 1).any():
            raise CompressionError(f"the XOR code needs a sparsity below 1, got {s[known].max():g}")
        whole = np.divide(size, 1 - s, out=np.full(s.shape, np.nan), where=known)
        outputs = np.floor(whole * (1 + 1e-12))
    known &= ~np.isnan(outputs)
    efficiency = np.full(size.shape, np.nan)
    for code in np.unique(size[known] + 1j * registers[known]):  # distinct pairs
        here = known & (size == code.real) & (registers == code.imag)
        measured = _measured(code.real, code.imag)
        load = outputs[here] * (1 - s[here]) / size[here]
        efficiency[here] = 1 - np.exp(_log_miss(measured, s[here], correlation[here], load))
    return efficiency.reshape(shape)


def measured_codes() -> dict[tuple[int, int], tuple[float, float, float]]:
    """Return (n_in, registers) of every code measured, with the least and greatest sparsity and the greatest rho."""
    return {
        (int(n_in), int(registers)): (
            float(table.sparsities[0]),
            float(table.sparsities[-1]),
            float(table.correlations[-1]),
        )
        for (n_in, registers), table in sorted(_tables().items())
    }


def measured_loads(n_in: int, shift_registers: int) -> tuple[float, float]:
    """Return the least and greatest load n_out (1 - S) / n_in measured at every sparsity and correlation of a code.

    Raises:
        CompressionError: the code has not been measured.
    """
    curves = [loads for row in _measured(n_in, shift_registers).loads for loads in row]
    return max(float(loads[0]) for loads in curves), min(float(loads[-1]) for loads in curves)


def plane_bits(
    n_in: ArrayLike, n_out: ArrayLike, sparsity: ArrayLike, efficiency: ArrayLike, *, correction_block: ArrayLike = 512
) -> FloatArray:
    """Return stored bits of one weight and bit plane, mask apart: n_in / n_out + (1 - S) (1 - E) c + 1 / P.

    c = ceil(log2 P) + 1 bits correct one miss; every block of P weights has one bit that ends its list.
    """
    block = asarray(correction_block, np.float64)
    per_miss = np.ceil(np.log2(block)) + 1
    misses = (1 - asarray(sparsity, np.float64)) * (1 - asarray(efficiency, np.float64))
    return asarray(asarray(n_in, np.float64) / asarray(n_out, np.float64) + misses * per_miss + 1 / block)


@dataclass(frozen=True)
class DecoderHardware:
    """Counts of one decoder; each a number or a column.

    Attributes:
        xor2_gates: two-input XOR gates, N_out ((N_s + 1) N_in / 2 - 1): half of the taps of a random map are set.
        depth: XOR gates in a row, ceil log2((N_s + 1) N_in).
        flip_flops: bits of the registers, N_s N_in.
        bits_per_cycle: bits put out, N_out.
    """

    xor2_gates: FloatArray
    depth: FloatArray
    flip_flops: FloatArray
    bits_per_cycle: FloatArray


def decoder_hardware(n_in: ArrayLike, n_out: ArrayLike, shift_registers: ArrayLike) -> DecoderHardware:
    """Return gates, depth and flip-flops of one decoder that takes a step per cycle."""
    inputs, outputs, registers = (asarray(x, np.float64) for x in (n_in, n_out, shift_registers))
    taps = (registers + 1) * inputs
    return DecoderHardware(
        xor2_gates=asarray(outputs * (taps / 2 - 1)),
        depth=np.ceil(np.log2(taps)),
        flip_flops=asarray(registers * inputs),
        bits_per_cycle=outputs,
    )


def _log_miss(measured: Measured, sparsity: FloatArray, rho: FloatArray, load: FloatArray) -> FloatArray:
    """Return the logarithm of the share missed, for rows of one code."""
    _within("sparsity", sparsity, measured.sparsities)
    _within("rho", rho, measured.correlations)
    steps = np.clip(np.searchsorted(measured.sparsities, sparsity, side="right") - 1, 0, len(measured.sparsities) - 2)
    lower, upper = measured.sparsities[steps], measured.sparsities[steps + 1]
    share = (sparsity - lower) / (upper - lower)
    columns = [_at_load(measured, column, sparsity, load, steps, share) for column in range(len(measured.correlations))]
    surface = np.maximum.accumulate(np.stack(columns), axis=0)
    if len(surface) == 1:
        return asarray(surface[0])
    right = np.clip(np.searchsorted(measured.correlations, rho, side="right"), 1, len(surface) - 1)
    here = np.arange(len(rho))
    low, high = measured.correlations[right - 1], measured.correlations[right]
    weight = (rho - low) / (high - low)
    return asarray((1 - weight) * surface[right - 1, here] + weight * surface[right, here])


def _at_load(
    measured: Measured, column: int, sparsity: FloatArray, load: FloatArray, steps: NDArray[np.intp], share: FloatArray
) -> FloatArray:
    """Return the logarithm missed at one measured rho, between the measured sparsities on both sides."""
    edges = np.zeros((2, len(load)))
    for slab in np.unique(np.concatenate([steps, steps + 1])):
        loads, misses = measured.loads[slab][column], measured.log_misses[slab][column]
        for side in (0, 1):
            here = (steps + side == slab) & ((share < 1) if side == 0 else (share > 0))
            _within("load n_out (1 - S) / n_in", load[here], loads)
            edges[side, here] = np.interp(load[here], loads, misses)
    mixed = (1 - share) * edges[0] + share * edges[1]
    return asarray(np.where(share == 0, edges[0], np.where(share == 1, edges[1], mixed)))


def _within(what: str, values: FloatArray, measured: FloatArray) -> None:
    slack = 1e-9
    wrong = values[(values < measured[0] - slack) | (values > measured[-1] + slack)]
    if wrong.size:
        raise CompressionError(
            f"the XOR code has been measured for {what} from {measured[0]:.4g} to {measured[-1]:.4g}, "
            f"got {wrong[0]:.4g}"
        )


def _measured(n_in: float, registers: float) -> Measured:
    tables = _tables()
    if (n_in, registers) not in tables:
        known = "; ".join(
            f"n_in {size:g} with {', '.join(f'{k:g}' for s, k in sorted(tables) if s == size)}"
            for size in sorted({size for size, _ in tables})
        )
        raise CompressionError(
            f"the XOR code has not been measured for n_in {n_in:g} with {registers:g} shift registers; "
            f"measured: {known}"
        )
    return tables[n_in, registers]


@lru_cache(maxsize=1)
def _tables() -> dict[tuple[float, float], Measured]:
    """Return the measurements of every code; sparsities that lack a correlation or have a single load are left out."""
    points: dict[tuple[float, float], dict[tuple[float, float], list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    with TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            size, s = float(row["n_in"]), float(row["sparsity"])
            load = float(row["n_out"]) * (1 - s) / size
            # No miss among so many nonzeros is taken for half a miss.
            miss = max(1 - float(row["efficiency"]), 0.5 / (float(row["blocks"]) * size * load))
            points[size, float(row["shift_registers"])][s, float(row["rho"])].append((load, float(np.log(miss))))
    return {code: _table(result) for code, result in points.items()}


def _table(points: dict[tuple[float, float], list[tuple[float, float]]]) -> Measured:
    correlations = sorted({rho for _, rho in points})
    full = [s for s in sorted({s for s, _ in points}) if all(len(points.get((s, rho), ())) > 1 for rho in correlations)]
    curves = [[np.array(sorted(points[s, rho])).T for rho in correlations] for s in full]
    return Measured(
        sparsities=np.array(full),
        correlations=np.array(correlations),
        loads=tuple(tuple(curve[0] for curve in row) for row in curves),
        log_misses=tuple(tuple(np.maximum.accumulate(curve[1]) for curve in row) for row in curves),
    )

"""Measure the encoding efficiency of the XOR code and write ``cost_models/library/data/xor_efficiency.csv``.

Every row runs the real encoder on random nonzeros: random maps drawn afresh, streams of 256 steps, wanted bits by a
fair coin, nonzeros independent (rho = 0) or beta-binomial within each output block. The grid has loads (nonzeros per
stored bit) around 1 so that the cost model can interpolate rounded sizes; further rows repeat published settings.

    python studies/fits/xor_efficiency.py             the whole table, about ten minutes on one core
    python studies/fits/xor_efficiency.py --quick     a tenth of the blocks, printed and not written
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dse.weight_codes.coding import XorCode, outputs_at
from dse.weight_codes.pruning import block_mask

TABLE = Path(__file__).parents[2] / "cost_models" / "library" / "data" / "xor_efficiency.csv"
STEPS = 256
SPARSITIES = (0.3, 0.5, 0.7, 0.9, 0.95)
LOADS = (0.8, 0.9)
REGISTERS = {4: (0, 1, 2, 3, 4), 5: (0, 1, 2), 6: (0, 1, 2), 8: (0, 1, 2), 10: (0, 1), 12: (0, 1)}
CORRELATIONS = {4: (0.0, 0.05, 0.24), 6: (0.0, 0.05, 0.24), 8: (0.0, 0.02, 0.05, 0.10, 0.24)}
PUBLISHED = ((8, 0.6, 20), (8, 0.7, 26), (8, 0.8, 40), (8, 0.5, 15), (8, 0.5, 14), (8, 0.9, 72))
FIELDS = (
    "n_in", "shift_registers", "sparsity", "n_out", "rho",
    "efficiency", "standard_error", "spread", "maps", "blocks", "seed",
)  # fmt: skip


class Setting(NamedTuple):
    """One row of the table."""

    n_in: int
    shift_registers: int
    sparsity: float
    n_out: int
    rho: float


def settings() -> list[Setting]:
    """Return the rows to measure, each once, in order."""

    def rows() -> Iterator[Setting]:
        for n_in, registers in REGISTERS.items():
            for k, sparsity in itertools.product(registers, SPARSITIES):
                correlations = CORRELATIONS.get(n_in, (0.0,)) if k <= 2 else (0.0,)
                for n_out, rho in itertools.product(outputs(n_in, sparsity), correlations):
                    yield Setting(n_in, k, sparsity, n_out, rho)
        for n_in, sparsity, n_out in PUBLISHED:
            yield from (Setting(n_in, k, sparsity, n_out, 0.0) for k in REGISTERS[n_in])

    return sorted(set(rows()))


def outputs(n_in: int, sparsity: float) -> set[int]:
    """Return sizes n_out with loads from about 0.8 to 1, and one beyond where none gives 1."""
    fullest = outputs_at(n_in, sparsity)
    sizes = {int(load * n_in / (1 - sparsity) + 1e-9) for load in LOADS} | {fullest}
    if fullest * (1 - sparsity) < n_in * (1 - 1e-9):
        sizes.add(fullest + 1)
    return {size for size in sizes if size >= n_in}


def effort(setting: Setting) -> tuple[int, int]:
    """Return maps and streams per map: many where maps differ, few where a block takes long.

    Unequal blocks need more of them: they come in clusters of errors.
    """
    state_bits = setting.n_in * setting.shift_registers
    if not state_bits:
        return 24, 4
    more = 2 if setting.rho >= 0.05 else 1
    if state_bits <= 8:
        return 8, 3 * more
    return (2, 2) if setting.n_in > 10 else (4, 2 * more)


def measure(setting: Setting, seed: int, share: float = 1.0) -> dict[str, object]:
    """Return one row: mean over maps, its standard error, and the standard deviation between maps."""
    n_in, registers, sparsity, n_out, rho = setting
    maps, streams = effort(setting)
    streams = max(1, round(streams * share))
    rng = np.random.default_rng([seed, n_in, registers, round(1e4 * sparsity), n_out, round(1e4 * rho)])
    efficiencies = []
    for map_seed in range(maps):
        code = XorCode(n_in, n_out, registers, seed=map_seed)
        care = block_mask((streams, STEPS * n_out), sparsity=sparsity, block=n_out, rho=rho, seed=rng)
        bits = rng.integers(0, 2, care.shape).astype(np.bool_)
        efficiencies.append(code.encode(care, bits).efficiency)
    spread = float(np.std(efficiencies, ddof=1))
    numbers = (np.mean(efficiencies), spread / maps**0.5, spread)
    result = (*(f"{number:.6f}" for number in numbers), maps, maps * streams * STEPS, seed)
    return dict(zip(FIELDS, (*setting, *result), strict=True))


def main() -> None:
    """Measure every row; write the table unless quick."""
    parser = argparse.ArgumentParser(description="Measure the encoding efficiency of the XOR code.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the blocks; print, write nothing")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start, rows = time.perf_counter(), []
    for setting in settings():
        rows.append(measure(setting, options.seed, 0.1 if options.quick else 1.0))
        print(f"{time.perf_counter() - start:7.1f} s ", *rows[-1].values(), flush=True)
    if not options.quick:
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()

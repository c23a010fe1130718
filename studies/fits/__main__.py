"""Refit what the library says is fitted, and hold the constants that it ships against the result.

    python -m studies.fits --check                      constants of quality and silicon: a minute
    python -m studies.fits --check power stacks         of energy and of stacks: minutes, and an hour
    python -m studies.fits --check intervals            of prediction intervals, after those of stacks: seconds
    python -m studies.fits --check power --folds        and those with a chip or a source left out

Ends with status 1 where a constant is not what its rows give. ``--write`` of each fit puts right what is not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from cost_models.library import shipped_library

TOLERANCE = 0.02
"""Relative difference between a shipped constant and its fit: they are shipped with four digits, and searches end."""

LIBRARY = shipped_library()

Refitted = Iterator[tuple[str, float, float]]
"""Name of a constant, what is shipped, and what its rows give."""


def quality(*, folds: bool) -> Refitted:
    """Yield the constants of quality; no folds of them are shipped."""
    from studies.fits.quality.__main__ import fitted, solve_pruning, solve_quantisation

    for name, value in fitted(solve_quantisation(folds=("model",)), solve_pruning(folds=("model",))).items():
        yield f"quality.{name}", LIBRARY.parameters[f"quality.{name}"].typ, value


def silicon(*, folds: bool) -> Refitted:
    """Yield the constants of area and power; those of folds are worked out by whoever asks, and not shipped."""
    from cost_models.library.technology import Technology
    from dse.validation.silicon.designs import real_chips
    from dse.validation.silicon.fit import QUANTITIES, fit

    chips = real_chips(LIBRARY)
    for quantity in QUANTITIES:
        result = fit(chips, quantity, np.ones((1, len(chips)), dtype=bool), Technology())
        for name, value in zip(result.names, result.values[0], strict=True):
            yield name, LIBRARY.parameters[name].typ, float(value)


def power(*, folds: bool) -> Refitted:
    """Yield the constants of energy, and those with a chip or a source left out."""
    from studies.fits.power import fit, open_rows, overrides

    rows = open_rows()
    for name, value in fit(rows, np.ones(len(rows), dtype=bool)).values.items():
        yield name, LIBRARY.parameters[name].typ, value
    shipped = pd.read_csv(LIBRARY.data_file("power_folds.csv"))
    for (kind, out), part in shipped.groupby(["kind", "left_out"]) if folds else ():
        found = overrides(fit(rows, (rows[kind] != out).to_numpy()).values)
        for path, value in zip(part["parameter"], part["value"], strict=True):
            yield f"{path} without {out}", float(value), found[path]


def stacks(*, folds: bool) -> Refitted:
    """Yield the constants of serving stacks, and those with a chip or a source left out."""
    from studies.fits.stacks import SETTINGS, Fits, fit, inherited, open_rows, rows_of
    from studies.fits.stacks import folds as left_out

    rows, done = open_rows(), Fits()
    shipped = pd.read_csv(LIBRARY.data_file("stack_folds.csv")).set_index(["kind", "left_out", "stack", "parameter"])
    for stack, entry in SETTINGS["stacks"].items():
        whole = fit(rows_of(rows, stack), stack, entry["start"], inherited(done, "", "", stack))
        done["", "", stack] = whole
        for name, value in whole.values.items():
            yield f"stacks.{stack}.{name}", LIBRARY.parameters[f"stacks.{stack}.{name}"].typ, value
        for kind, out, result in left_out(rows, stack, done) if folds else ():
            for name, value in result.values.items():
                yield f"{stack}.{name} without {out}", float(shipped.loc[(kind, out, stack, name), "value"]), value


def intervals(*, folds: bool) -> Refitted:
    """Yield the ends of prediction intervals, and those with a chip left out."""
    from studies.fits.intervals import intervals as made

    names = ["left_out", "kind", "regime", "format", "model"]
    shipped = pd.read_csv(LIBRARY.data_file("intervals.csv"), keep_default_na=False).set_index(names)
    found = made().set_index(names)
    for line in shipped.index.union(found.index) if folds else found.xs("", drop_level=False).index:
        for end in ("low", "high"):
            pair = (float(table[end].get(line, np.nan)) for table in (shipped, found))
            yield " ".join(filter(None, (end, *line))), *pair


CHECKS: Mapping[str, Callable[..., Refitted]] = {
    "quality": quality, "silicon": silicon, "power": power, "stacks": stacks, "intervals": intervals,
}  # fmt: skip

CHEAP = ("quality", "silicon")
"""Fits that take seconds."""


def misses(name: str, *, folds: bool = False) -> tuple[list[str], int]:
    """Return the constants of a fit that are not what their rows give, as lines, and how many were checked."""
    lines, count = [], 0
    for constant, shipped, found in CHECKS[name](folds=folds):
        count += 1
        if not abs(shipped - found) <= TOLERANCE * max(abs(shipped), abs(found)) + 1e-9:
            lines.append(f"{constant}: the library has {shipped:.5g}, its rows give {found:.5g}")
    return lines, count


def main() -> None:
    """Check the fits that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs="*", choices=CHECKS, metavar="FIT", help="fits to check; the quick ones")
    parser.add_argument("--folds", action="store_true", help="those with a chip or a source left out too")
    asked = parser.parse_args()
    if asked.check is None:
        parser.error("say --check; each fit is a module of its own: python -m studies.fits.power --help")
    wrong = 0
    for name in asked.check or CHEAP:
        lines, count = misses(name, folds=asked.folds)
        wrong += len(lines)
        print(f"{name}: {count} constants, {len(lines)} of them not what their rows give")
        print(*(f"  {line}" for line in lines), sep="\n", flush=True)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()

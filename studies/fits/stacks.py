"""Fit the few constants of the software stacks on the open end-to-end rows.

Robust least squares on the logarithm of predicted over measured time. Every pair of source and quantity pulls with the
square root of its number of rows, so that no source decides alone; every constant is pulled towards its start, which
comes from operator measurements (``stacks.yaml`` beside this script). Besides the constants themselves, the script
fits them without each chip (stacks of software) and without each source (generic stacks): ``stack_folds.csv`` of the
library, from which `dse validate` scores unseen chips and unseen software.

    python studies/fits/stacks.py            fit and print
    python studies/fits/stacks.py --write    and put the constants into the library
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from cost_models.library import Library, shipped_library
from dse.validation import requests
from dse.validation.intervals import variants
from dse.validation.rows import read_measurements
from dse.validation.score import source_of
from dse.validation.setups import stacks
from dse.validation.stack_fit import Fit, Pull, fit_constants

LIBRARY = shipped_library()
SETTINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
FILES = ("open.csv", "e2e2_open.csv")


def open_rows() -> pd.DataFrame:
    """Return every shipped row that a fit may use, with measured time, source and stack."""
    parts = []
    for name in FILES:
        _, rows = read_measurements(LIBRARY.data_file(name), LIBRARY)
        parts.append(requests.prepare(rows))
    rows = pd.concat(parts, ignore_index=True)
    grades = {grade for one in (SETTINGS, *SETTINGS["stacks"].values()) for grade in one.get("grades", ())}
    rows = rows[(rows["reason"] == "") & rows["grade"].isin(grades) & rows["used_batch"].notna()].copy()
    static = (rows["batch_mode"] == "static") | rows["effective_batch"].notna()
    # A first token in flight is used where its source tells how many requests were; beyond that it holds a queue.
    first = (rows["batch_mode"] == "inflight") & (rows["quantity"] == "prefill")
    rows = rows[(static & ~first) | (first & rows["concurrency"].notna())].copy()
    rows["measured_s"] = requests.measured_s(rows)
    rows["source"] = source_of(rows)
    rows["own"] = stacks(rows, LIBRARY)[0].names()
    return rows.reset_index(drop=True)


def fit(
    rows: pd.DataFrame,
    stack: str,
    start: Mapping[str, float],
    fixed: Mapping[str, float] | None = None,
    guess: Mapping[str, float] | None = None,
) -> Fit:
    """Return the constants of a stack that predict rows best, searched from `guess` where there is one."""
    size = rows.groupby(["source", "quantity"])["value"].transform("size").to_numpy()
    if SETTINGS["stacks"][stack].get("pool", False):
        # A source says how one software behaves, however many rows it has.
        weight, error, spread = size**-0.5, float(SETTINGS["source_error"]), float(SETTINGS["pool_prior_spread"])
    else:
        weight, error, spread = size**-0.25, float(SETTINGS["row_error"]), float(SETTINGS["prior_spread"])
    pull = Pull(weight / error, spread, float(SETTINGS["robust_from"]))
    first = {name: float(value) for name, value in start.items()}
    return fit_constants(rows, stack, first, pull, LIBRARY, fixed=fixed, guess=guess)


def rows_of(rows: pd.DataFrame, stack: str) -> pd.DataFrame:
    """Return the rows that a stack's constants come from."""
    here = [key for key, chip in LIBRARY.chips.items() if chip.family in LIBRARY.stack(stack).families]
    pooled = SETTINGS["stacks"][stack].get("pool", False)
    mine = rows[rows["chip"].isin(here)] if pooled else rows[rows["own"] == stack]
    mine = mine[mine["grade"].isin(SETTINGS["stacks"][stack].get("grades", SETTINGS["grades"]))]
    # Long tables are thinned evenly: their rows repeat one another, and weights favour none of them anyway.
    group = mine.groupby(["source", "quantity", "chip"])
    place, size = group.cumcount(), group["value"].transform("size")
    most = int(SETTINGS["rows_per_group"])
    stride = np.maximum(size / most, 1.0)
    return mine[np.floor((place + 1) / stride) > np.floor(place / stride)]


Fits = dict[tuple[str, str, str], Fit]
"""Constants by what is left out (kind and name, both "" for nothing) and stack."""


def inherited(done: Fits, kind: str, left_out: str, stack: str) -> dict[str, float]:
    """Return the fitted constants of the stacks that a stack is built on, what is left out left out there too."""
    base = LIBRARY.stack(stack).base
    if base is None:
        return {}
    result = done.get((kind, left_out, base), done.get(("", "", base)))
    above = inherited(done, kind, left_out, base) | dict(result.values if result else {})
    parameters = LIBRARY.parameters
    return {
        name: value
        for name, value in above.items()
        if parameters[f"stacks.{stack}.{name}"] is parameters[f"stacks.{base}.{name}"]
    }


def folds(rows: pd.DataFrame, stack: str, done: Fits) -> Iterable[tuple[str, str, Fit]]:
    """Yield (kind, what is left out, constants): chips with their variants, and sources for generic stacks."""
    mine, entry = rows_of(rows, stack), SETTINGS["stacks"][stack]
    kinds = ("source", "chip") if "pool" in entry else ("chip",)
    for kind in kinds:
        made: dict[frozenset[str], Fit] = {}
        for left_out in sorted(mine[kind].unique()):
            group = frozenset(variants(left_out, LIBRARY) if kind == "chip" else {left_out})
            rest = mine[~mine[kind].isin(group)]
            if len(rest):
                above = inherited(done, kind, left_out, stack)
                result = made.get(group) or fit(rest, stack, entry["start"], above, done["", "", stack].values)
                made[group] = done[kind, left_out, stack] = result
                yield kind, left_out, result


def stored_folds(library: Library) -> Fits:
    """Return the constants of earlier fits with something left out, for stacks that are not fitted anew."""
    table = pd.read_csv(library.data_file("stack_folds.csv"), keep_default_na=False)
    return {
        (str(kind), str(out), str(stack)): Fit(dict(zip(part["parameter"], part["value"], strict=True)), {}, 0, (), 0.0)
        for (kind, out, stack), part in table.groupby(["kind", "left_out", "stack"])
    }


def put(text: str, stack: str, name: str, line: str) -> str:
    """Return the YAML text with one parameter of one stack replaced or added."""
    begin = re.search(rf"^  {stack}:$", text, re.MULTILINE)
    if begin is None:
        raise SystemExit(f"stacks.yaml has no stack {stack}")
    end = re.compile(r"^(?=  \w+:$|\w)", re.MULTILINE).search(text, begin.end())
    block = text[begin.start() : end.start() if end else len(text)]
    pattern = re.compile(rf"^    {name}: .*$", re.MULTILINE)
    changed = pattern.sub(lambda _: line, block) if pattern.search(block) else block.rstrip("\n") + "\n" + line + "\n"
    return text.replace(block, changed)


def main() -> None:
    """Fit, print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="put constants and folds into the library")
    options.add_argument("--only", nargs="*", help="stacks to fit; all by default")
    options.add_argument("--no-folds", action="store_true", help="fit once, leave nothing out")
    arguments = options.parse_args()
    rows = open_rows()
    path = LIBRARY.directory / "data" / "stacks.yaml"
    table = []
    done = stored_folds(LIBRARY) if arguments.only else {}
    for stack in arguments.only or SETTINGS["stacks"]:
        whole = fit(rows_of(rows, stack), stack, SETTINGS["stacks"][stack]["start"], inherited(done, "", "", stack))
        done["", "", stack] = whole
        print(f"{stack}: {whole.rows} rows, median error {whole.miss:.1%}, {', '.join(whole.sources)}")
        out = [] if arguments.no_folds else list(folds(rows, stack, done))
        for kind, left_out, result in out:
            values = inherited(done, kind, left_out, stack) | dict(result.values)
            table += [(kind, left_out, stack, name, f"{value:.5g}") for name, value in values.items()]
        for name, value in whole.values.items():
            others = [result.values[name] for _, _, result in out]
            error = np.exp(2 * whole.errors[name])
            low, high = min([value / error, *others]), max([value * error, *others])
            high = min(high, LIBRARY.parameters[f"stacks.{stack}.{name}"].bounds.high)
            seen = f"; {min(others):.3g} to {max(others):.3g} with a chip or source left out" if others else ""
            note = (
                f"fitted on {whole.rows} end-to-end rows ({', '.join(whole.sources)}) from a start of "
                f"{float(SETTINGS['stacks'][stack]['start'][name]):.3g}; low and high are two standard errors{seen}"
            )
            print(f"    {name:36s} {low:10.4g} {value:10.4g} {high:10.4g}")
            if arguments.write:
                numbers = ", ".join(f"{k}: {_yaml(v)}" for k, v in (("low", low), ("typ", value), ("high", high)))
                line = f'    {name}: {{{numbers}, src: [derived], conf: medium, note: "{note}"}}'
                path.write_text(put(path.read_text(), stack, name, line))
    if arguments.write and table:
        kept = pd.DataFrame(table, columns=["kind", "left_out", "stack", "parameter", "value"])
        target = LIBRARY.data_file("stack_folds.csv")
        if arguments.only and target.exists():
            before = pd.read_csv(target, dtype=str)
            kept = pd.concat([before[~before["stack"].isin(arguments.only)], kept])
        kept.to_csv(target, index=False)


def _yaml(value: float) -> str:
    """Return a number as YAML 1.1 reads one: exponents need a point and a sign."""
    text = f"{value:.4g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"
    return text


if __name__ == "__main__":
    main()

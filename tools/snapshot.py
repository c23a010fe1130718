"""Numbers of every shipped sweep and of the validation, summed up in one file, to hold a change of the code against.

    python tools/snapshot.py take tests/snapshot/numbers.json     run everything and write the numbers
    python tools/snapshot.py compare tests/snapshot/numbers.json  run everything and print what differs

A column of a front or of scored rows is summed up as count, sum, least and largest value; a column of names as a
digest. Names that a change renames are translated by ``renames.csv`` beside the numbers.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

SWEEPS = Path("sweeps")
TOLERANCE = 1e-9
"""Relative difference of sums below which two numbers are the same: sums in another order end otherwise."""


def main(arguments: list[str]) -> int:
    """Take or compare a snapshot; the exit status is 1 where something differs."""
    verb, path, *chosen = arguments
    numbers = {"sweeps": {}, "validation": {}, "silicon": {}}
    with tempfile.TemporaryDirectory() as scratch:
        for sweep in sorted(SWEEPS.glob("*.yaml")):
            if chosen and sweep.stem not in chosen:
                continue
            print(sweep.stem, file=sys.stderr, flush=True)
            numbers["sweeps"][sweep.stem] = of_sweep(sweep, Path(scratch) / sweep.stem)
        if not chosen or "validation" in chosen:
            numbers["validation"] = of_validation(Path(scratch) / "scored")
            numbers["silicon"] = of_silicon()
    if verb == "take":
        Path(path).write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    before = renamed(json.loads(Path(path).read_text(encoding="utf-8")), Path(path).with_name("renames.csv"))
    result = list(differences(before, numbers, chosen))
    print("\n".join(result) or "no number differs")
    return int(bool(result))


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of this checkout."""
    return subprocess.run(
        [sys.executable, "-c", "from dse.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def of_sweep(sweep: Path, out: Path) -> dict[str, Any]:
    """Return counts and columns of the front of a sweep."""
    done = call("run", str(sweep), "--out", str(out), "--draw", "none", "--no-report", "--quiet")
    if done.returncode not in (0, 3):
        return {"failed": done.stderr.strip()[-500:]}
    counts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"]
    front = out / "pareto.csv"
    table = pd.read_csv(front) if front.exists() and front.stat().st_size > 1 else pd.DataFrame()
    return {"status": done.returncode, "counts": counts, "front": columns_of(table)}


def of_validation(out: Path) -> dict[str, Any]:
    """Return the columns of all scored rows."""
    done = call("validate", "--out", str(out), "--quiet")
    if done.returncode != 0:
        return {"failed": done.stderr.strip()[-500:]}
    return {path.stem: columns_of(pd.read_csv(path, low_memory=False)) for path in sorted(out.glob("*.csv"))}


def of_silicon() -> Any:
    """Return the tables of silicon checks."""
    done = call("validate", "--silicon", "--format", "json")
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr.strip()[-500:]}


def columns_of(table: pd.DataFrame) -> dict[str, Any]:
    """Return each column summed up."""
    summed: dict[str, Any] = {}
    for name in table:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            some = column.dropna()
            values = [float(some.sum()), float(some.min()), float(some.max())] if len(some) else []
            summed[str(name)] = [len(some), *values]
        else:
            text = "\n".join(map(str, column))
            summed[str(name)] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return summed


def renamed(tree: Any, renames: Path) -> Any:
    """Return the tree with old names replaced, in keys only."""
    if not renames.exists():
        return tree
    with renames.open(encoding="utf-8", newline="") as file:
        pairs = {row["old"]: row["new"] for row in csv.DictReader(file)}

    def name(key: str) -> str:
        head, dot, tail = key.rpartition(".")
        tail, space, unit = tail.partition(" ")
        return f"{head}{dot}{pairs.get(tail, tail)}{space}{unit}" if key not in pairs else pairs[key]

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {name(key): walk(value) for key, value in node.items()}
        return [walk(one) for one in node] if isinstance(node, list) else node

    return walk(tree)


def differences(before: Any, after: Any, chosen: list[str], path: str = "") -> Any:
    """Yield a line per number or name that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            here = f"{path}/{key}"
            if key not in after:
                if not (chosen and path in ("/sweeps", "")):
                    yield f"{here}: gone"
            elif key not in before:
                yield f"{here}: new"
            else:
                yield from differences(before[key], after[key], chosen, here)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, chosen, f"{path}[{index}]")
    elif isinstance(before, int | float) and isinstance(after, int | float):
        if not math.isclose(before, after, rel_tol=TOLERANCE, abs_tol=1e-300):
            yield f"{path}: {before!r} -> {after!r}"
    elif before != after:
        yield f"{path}: {before!r} -> {after!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

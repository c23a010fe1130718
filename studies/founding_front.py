"""The founding front before and after: mach1 as it was, as it is, and with one point at a time undone.

    python -m studies.founding_front                      20,000 designs for each search
    python -m studies.founding_front --csv front.csv      and the table as CSV

What was is the committed outcome of a source commit; what each point undoes stands in ``founding_front.yaml``. Points
that move no typical value (activations, which mach1 keeps in 16 bits; intervals, which change a chance) are not there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dse.results.store import StoredRun
from dse.runs import run
from dse.sweep import load_spec

PICKS = ("best_tpot_ms", "best_decode_w", "best_cost_usd", "knee")
METRICS = ("tpot_ms", "decode_w", "tdp_w", "cost_usd", "die_mm2")
"""What is shown of each pick; those that a workload enters are those of the first one."""


def fronts(sweep: Path, described: Mapping[str, Any], n_designs: int) -> pd.DataFrame:
    """Return a row per state and pick: what it was, what it is, and what it is with each point undone.

    Args:
        sweep: the sweep file.
        described: ``founding_front.yaml``.
        n_designs: designs of each search.
    """
    old = described["old"]
    feasible = old["feasible"] / old["searched"]
    rows = [
        {"state": f"old ({old['commit']})", "feasible": feasible, "pick": pick, **old["picks"][pick]} for pick in PICKS
    ]
    states: dict[str, Mapping[str, float]] = {"new": {}}
    states |= {f"without {name}": point["undone"] for name, point in described["points"].items()}
    states["without all of them"] = {k: v for point in described["points"].values() for k, v in point["undone"].items()}
    for state, values in states.items():
        overrides = [f"search.n_designs={n_designs}", *(f"technology.{path}={value}" for path, value in values.items())]
        with tempfile.TemporaryDirectory() as scratch:
            rows += _picked(state, run(load_spec(sweep, overrides=overrides), out=Path(scratch) / "run"))
    return pd.DataFrame(rows)


def _picked(state: str, done: StoredRun) -> list[dict[str, Any]]:
    counts = done.manifest["counts"]
    feasible, first = counts["feasible"] / counts["evaluated"], next(iter(done.spec.workloads))
    by_name = {pick["name"].replace(f"{first}.", ""): pick["metrics"] for pick in done.picks}
    rows = []
    for pick in PICKS:
        metrics = by_name.get(pick, {})
        shown = {metric: metrics.get(metric, metrics.get(f"{first}.{metric}", float("nan"))) for metric in METRICS}
        rows.append({"state": state, "feasible": feasible, "pick": pick, **shown})
    return rows


def main() -> None:
    """Search, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", type=Path, default=Path("sweeps/mach1.yaml"))
    parser.add_argument("--n-designs", type=int, default=20_000)
    parser.add_argument("--csv", type=Path, help="file that the table is written to")
    asked = parser.parse_args()
    described = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    table = fronts(asked.sweep, described, asked.n_designs)
    for pick in PICKS:
        print(f"\n{pick}")
        print(table[table["pick"] == pick].drop(columns="pick").to_string(index=False, float_format="%.4g"))
    print("\nwhat is undone")
    for name, point in described["points"].items():
        print(f"  {name}: {point['title']}")
    if asked.csv:
        table.to_csv(asked.csv, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()

"""Writes what a run found into its directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dse.plain import members, plain
from dse.results.directory import write_json
from dse.results.manifest import MANIFEST
from dse.results.outcome import Outcome
from dse.results.rows import Rows, joined
from dse.results.store import AXIS_COLUMNS, CONSTRAINT_COLUMNS, MARGIN_COLUMNS, StoredRun, headed
from dse.results.yaml_text import yaml_text
from dse.sheets import columns_of, csv_text

if TYPE_CHECKING:
    import pandas as pd

    from dse.sweep import Spec

PART_ROWS = 100_000
"""Rows of one Parquet file."""


def write_answer(
    directory: Path, outcome: Outcome, *, sweep: str, resolved: str, manifest: Mapping[str, Any], spec: Spec
) -> StoredRun:
    """Write what a user is told of a run into an existing, empty directory, and return the run as far as it is there.

    What is missing, the sample and the sheet of the front, takes longer (`write_rest`).

    Args:
        directory: where.
        outcome: what the run found.
        sweep: the user's file, byte for byte.
        resolved: the sweep with every default written out.
        manifest: provenance; counts, status and timings are added here.
        spec: the sweep.
    """
    (directory / "sweep.yaml").write_text(sweep, encoding="utf-8", newline="")
    (directory / "resolved.yaml").write_text(resolved, encoding="utf-8")
    (directory / "designs").mkdir()
    answer = _distinct([outcome.front, outcome.misses])
    _write_designs(directory / "designs", answer, outcome)
    (directory / "picks.yaml").write_text(_picks_text(outcome), encoding="utf-8")
    _write_csv(directory / "top.csv", top_frame(outcome, spec))
    _write_csv(directory / "constraints.csv", constraints_frame(outcome))
    _write_csv(directory / "margins.csv", margins_frame(outcome))
    _write_csv(directory / "axes.csv", axes_frame(outcome, spec))
    _write_csv(directory / "baselines.csv", baselines_frame(outcome, spec))
    lines = [json.dumps(plain(point), allow_nan=False) for point in outcome.history]
    (directory / "progress.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (directory / "plots").mkdir()
    whole = {**manifest, **_counts(outcome, len(np.union1d(_ids(answer), outcome.sample_ids)))}
    write_json(directory / MANIFEST, whole)
    return StoredRun(directory, whole, spec.derived)


def write_rest(directory: Path, outcome: Outcome, spec: Spec) -> None:
    """Write what `write_answer` leaves out of a run: the sheet of the front, and the sample of all designs."""
    front = front_frame(outcome.front, spec) if outcome.front is not None else _empty_front(outcome, spec)
    _write_csv(directory / "pareto.csv", front)
    rest = outcome.sample
    if rest is not None:
        told = np.concatenate([_ids(outcome.front), _ids(outcome.misses)])
        _write_designs(directory / "designs", rest.take(~np.isin(rest.ids, told)), outcome)


def _ids(rows: Rows | None) -> NDArray[np.int64]:
    return np.zeros(0, np.int64) if rows is None else rows.ids


def _counts(outcome: Outcome, kept: int) -> dict[str, Any]:
    total = outcome.seconds["total"]
    return {
        "status": outcome.status,
        "counts": {
            **members(outcome, "planned", "evaluated", "decided", "feasible"),
            "front": len(outcome.front) if outcome.front is not None else 0,
            "kept": kept,
        },
        "kept": kept_words(outcome.stride),
        "sample_stride": outcome.stride,
        "seconds": {part: round(seconds, 3) for part, seconds in outcome.seconds.items()},
        "designs_per_s": round(outcome.evaluated / total) if total else None,
        "hypervolume": plain(outcome.history[-1].hypervolume) if outcome.history else None,
        "library_parameters_read": len(outcome.parameters_read),
    }


def kept_words(stride: int) -> str:
    """Return in words which designs a run keeps."""
    if stride == 1:
        return "every design"
    matter = "the front, the picks and the least infeasible designs"
    return f"{matter}, and of the rest one in {stride} by id" if stride else matter


def _distinct(parts: Sequence[Rows | None]) -> Rows | None:
    """Return rows, each once, in the order of their ids; None where there are none."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    rows = joined(there)
    return rows.take(np.unique(rows.ids, return_index=True)[1])


def _write_designs(folder: Path, rows: Rows | None, outcome: Outcome) -> None:
    """Write kept designs behind those that are written already."""
    if rows is None or not len(rows):
        return
    table = rows.frame({
        "pareto": np.isin(rows.ids, outcome.front.ids if outcome.front is not None else []),
        "sampled": rows.ids % outcome.stride == 0 if outcome.stride else np.zeros(len(rows), dtype=bool),
    })  # fmt: skip
    # Numbers hardly repeat: a dictionary of them takes most of the time and saves nothing.
    names: Any = [name for name, column in table.items() if column.dtype == "category"] or False
    written = len(list(folder.iterdir()))
    for part, start in enumerate(range(0, len(table), PART_ROWS), start=written):
        file = folder / f"{part:06d}.parquet"
        table.iloc[start : start + PART_ROWS].to_parquet(file, index=False, use_dictionary=names)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as `pandas.DataFrame.to_csv` does without an index, several times as fast."""
    # Nine digits: shorter to read than the exact value, and the same whatever the last bit of a sum is.
    path.write_text(csv_text(table.columns, columns_of(table), digits=9), encoding="utf-8", newline="")


def front_frame(front: Rows, spec: Spec) -> pd.DataFrame:
    """Return the table of ``pareto.csv``: headings carry units."""
    table = front.frame().drop(columns=["feasible", "violation"])
    return table.rename(columns={name: headed(str(name), spec.metrics) for name in table})


def _empty_front(outcome: Outcome, spec: Spec) -> pd.DataFrame:
    import pandas as pd

    some = outcome.misses or outcome.sample
    return pd.DataFrame() if some is None else front_frame(some, spec).iloc[:0]


def _picks_text(outcome: Outcome) -> str:
    picks = [
        {
            **members(pick, "name", "reason", "id", "feasible"),
            "design": dict(pick.design),
            "metrics": {name: float(f"{value:.9g}") for name, value in pick.metrics.items()},
        }
        for pick in outcome.picks
    ]
    return yaml_text(picks)


def constraints_frame(outcome: Outcome) -> pd.DataFrame:
    """Return the table of ``constraints.csv``; margins are relative to the bound."""
    import pandas as pd

    rows = [
        {
            **asdict(count),
            "violated_fraction": count.violated / count.evaluated if count.evaluated else float("nan"),
            "sole_cause_fraction": count.sole_cause / count.evaluated if count.evaluated else float("nan"),
        }
        for count in outcome.constraints
    ]
    return pd.DataFrame(rows, columns=list(CONSTRAINT_COLUMNS))


def margins_frame(outcome: Outcome) -> pd.DataFrame:
    """Return the table of ``margins.csv``: designs per constraint and interval of the margin; none of empty ones."""
    import pandas as pd

    return pd.DataFrame([asdict(count) for count in outcome.margins], columns=list(MARGIN_COLUMNS))


def top_frame(outcome: Outcome, spec: Spec) -> pd.DataFrame:
    """Return the table of ``top.csv``: per objective its rank and the design; headings carry units."""
    import pandas as pd

    parts = []
    for metric, rows in outcome.top.items():
        part = front_frame(rows, spec)
        rank = pd.DataFrame({"objective": metric, "rank": range(1, len(part) + 1)})
        parts.append(pd.concat([rank, part], axis=1))
    return pd.concat(parts, ignore_index=True) if parts else _empty_front(outcome, spec)


def axes_frame(outcome: Outcome, spec: Spec) -> pd.DataFrame:
    """Return the table of ``axes.csv``: how every value of every axis fared."""
    import pandas as pd

    rows = [
        {
            "axis": headed(value.axis, spec.metrics),
            **members(value, "value", "low", "high", "evaluated", "feasible", "feasible_low", "feasible_high"),
            "removed_by": "; ".join(f"{one.constraint} ({one.share:.0%})" for one in value.removed_by),
            "nearest_miss": "; ".join(f"{one.constraint} (by {one.by:.3%})" for one in value.nearest_miss),
        }
        for value in outcome.values
    ]
    return pd.DataFrame(rows, columns=list(AXIS_COLUMNS))


def baselines_frame(outcome: Outcome, spec: Spec) -> pd.DataFrame:
    """Return the table of ``baselines.csv``: what each baseline is, and the metrics of designs."""
    import pandas as pd

    rows = [
        {
            "baseline": name,
            "chips": spec.baselines[name].count,
            **members(spec.baselines[name], "chip", "weight_format", "kv_bits", "act_bits"),
            **members(spec.baselines[name], "weight_execution", "serving_stack"),
            **metrics,
        }
        for name, metrics in outcome.baselines.items()
    ]
    named = ("baseline", "chips", "chip", "weight_format", "kv_bits", "act_bits")
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(named))
    return table.rename(columns={name: headed(str(name), spec.metrics) for name in table})

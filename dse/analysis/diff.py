"""How two runs differ: what was asked, what it was computed with, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cost_models.table import FloatArray
from dse.front import nondominated
from dse.results.store import StoredRun


@dataclass(frozen=True)
class Difference:
    """One thing that differs.

    Attributes:
        section: "sweep", "provenance", "packages", "counts" or "front".
        what: the key.
        first: its value in the first run; "" where it has none.
        second: its value in the second.
    """

    section: str
    what: str
    first: str
    second: str


def differences(first: StoredRun, second: StoredRun) -> list[Difference]:
    """Return everything in which two runs differ; times and places are left out.

    Raises:
        RunError: a run cannot be read.
    """
    one, other = first.manifest, second.manifest
    result = _between("sweep", _flat(first.spec.resolved()), _flat(second.spec.resolved()))
    for section, keys in (("provenance", ("library_sha256", "commit", "python")), ("counts", ("status",))):
        result += _between(section, {key: one.get(key) for key in keys}, {key: other.get(key) for key in keys})
    result += _between("packages", one.get("packages", {}), other.get("packages", {}))
    result += _between("counts", one["counts"], other["counts"])
    return result + _of_fronts(first, second)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping of dotted paths."""
    if isinstance(value, Mapping):
        parts = [(f"{path}.{key}" if path else str(key), entry) for key, entry in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
        parts = [(f"{path}[{place}]", entry) for place, entry in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for part, entry in parts for key, leaf in _flat(entry, part).items()}


def _between(section: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    keys = [*first, *(key for key in second if key not in first)]
    return [
        Difference(section, key, _word(first.get(key)), _word(second.get(key)))
        for key in keys
        if first.get(key) != second.get(key)
    ]


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_word, value))
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _of_fronts(first: StoredRun, second: StoredRun) -> list[Difference]:
    """Return how the fronts differ: designs on one alone, and how much of each the other one beats."""
    if first.file("pareto.csv").read_bytes() == second.file("pareto.csv").read_bytes():
        return []
    metrics = [objective.metric for objective in first.spec.objectives]
    if metrics != [objective.metric for objective in second.spec.objectives]:
        return [Difference("front", "objectives", ", ".join(metrics), "others")]
    signs = np.array([1.0 if objective.direction == "minimize" else -1.0 for objective in first.spec.objectives])
    points = [run.front[metrics].to_numpy(dtype=np.float64) * signs for run in (first, second)]
    if not all(map(len, points)):
        return [Difference("front", "designs", str(len(points[0])), str(len(points[1])))]
    beaten = [_beaten(points[0], points[1]), _beaten(points[1], points[0])]
    result = [
        Difference("front", "designs", str(len(points[0])), str(len(points[1]))),
        Difference("front", "beaten by a design of the other", str(beaten[0]), str(beaten[1])),
    ]
    for place, metric in enumerate(metrics):
        best = [float(signs[place] * part[:, place].min()) for part in points]
        result.append(Difference("front", f"best {metric}", *(f"{value:.6g}" for value in best)))
    return [one for one in result if one.first != one.second or one.what.startswith("beaten")]


def _beaten(points: FloatArray, others: FloatArray) -> int:
    """Return how many points some other one dominates."""
    # Equal points do not beat each other; the points stand first, so of equal ones they are kept.
    kept = nondominated(np.concatenate([points, others]))[: len(points)]
    own = nondominated(points)
    return int((own & ~kept).sum())

"""Numbers as they were when last looked at: of designs of every sweep, every model and chip, measured rows, and parts.

They notice any change, and say of none whether it is right; `tests/snapshot/README.md` tells how to write them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pytest_regressions.dataframe_regression import DataFrameRegressionFixture

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice
from cost_models.workload.param_count import count_parameters
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import Spec, load_spec, parse_spec
from dse.validation.rows import read_measurements
from dse.validation.run import predicted, shipped
from tests.snapshot.parts import PARTS

HERE = Path(__file__).parent
SPECIAL = sorted((HERE / "sweeps").glob("*.yaml"))
SWEEPS = [*sorted(Path("sweeps").glob("*.yaml")), *SPECIAL]
ROWS = {"parameters": 160, "formats": 96}
"""Designs of sweeps with many axes; of the others there are so many:"""
USUAL_ROWS = 24
MEASURED = 10
"""Rows of every file of measurements."""
DIGITS = 10
TOLERANCE = {"rtol": 1e-9, "atol": 0.0}
OF_LOGARITHMS = {"rtol": 1e-9, "atol": 1e-8}
"""Logarithms may add up to nearly nothing."""


@pytest.fixture(name="held")
def held_fixture(dataframe_regression: DataFrameRegressionFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hold a table against the file of a name."""
    monkeypatch.setattr(DataFrameRegressionFixture, "DISPLAY_PRECISION", DIGITS)

    def held(table: pd.DataFrame, name: str) -> None:
        dataframe_regression.check(
            table, basename=name, default_tolerance=TOLERANCE, tolerances={"logarithms": OF_LOGARITHMS}
        )

    return held


def summed(columns: dict[str, Any]) -> pd.DataFrame:
    """Return a row per column: how many numbers it has, their sum, and that of their logarithms times their places.

    In the last a small number counts as much as a large one, and their order counts. An infinite one is counted as a
    thousandth, one that is missing is not. Words are summed up by a digest, in the place of how many there are.
    """
    rows: dict[str, list[float]] = {}
    for name, column in columns.items():
        words = column.names() if isinstance(column, Choice) else np.asarray(column)
        if words.dtype.kind in "OSUT":
            digest = hashlib.sha256("\n".join(map(str, words)).encode()).hexdigest()
            rows[name] = [float(int(digest[:8], 16)), np.nan, np.nan]
            continue
        numbers = words.astype(float)
        there = np.isfinite(numbers)
        some, places = numbers[there], np.flatnonzero(there) + 1.0
        weighted = np.log(np.abs(some), out=np.zeros_like(some), where=some != 0) @ places
        rows[name] = [there.sum() + np.isinf(numbers).sum() / 1000, some.sum(), weighted]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["count", "sum", "logarithms"])


def judged(spec: Spec, rows: int, parameters: Mapping[str, float] = MappingProxyType({})) -> dict[str, Any]:
    """Return all that is said of designs all over the space of a sweep, and of its baselines."""
    space, evaluator = Space(spec), Evaluator(spec, parameters)
    designs = space.decode(np.random.default_rng(0).random((rows, len(space.dimensions))))
    found = evaluator.evaluate(designs)
    columns: dict[str, Any] = {f"design {name}": column for name, column in designs.items()}
    columns |= dict(found.metrics) | {f"margin {name}": margin for name, margin in found.margins.items()}
    columns["feasible"] = found.feasible
    columns["missing"] = np.zeros(rows) if found.missing is None else found.missing
    baselines = [evaluator.baseline_columns(entry) for entry in spec.baselines.values()]
    for name in baselines[0] if baselines else ():
        columns[f"baselines {name}"] = np.concatenate([one[name] for one in baselines])
    return columns


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_designs_are_judged_as_before(path, held):
    spec = load_spec(path)
    held(summed(judged(spec, ROWS.get(path.stem, USUAL_ROWS))), path.stem)


@pytest.mark.parametrize("path", SPECIAL, ids=lambda path: path.stem)
def test_designs_are_judged_as_before_with_drawn_parameters(path, held):
    # What most parameters leave as it is, a factor of one or a time of nothing, counts where it is drawn.
    ranges = {name: (one.low, one.high) for name, one in shipped_library().parameters.items()}
    random = np.random.default_rng(6)
    drawn = {name: random.uniform(*ends) for name, ends in ranges.items() if None not in ends and ends[0] < ends[1]}
    assert len(drawn) > 1000
    held(summed(judged(load_spec(path), ROWS.get(path.stem, USUAL_ROWS) // 2, drawn)), f"drawn_{path.stem}")


def sweep_of(workloads: dict[str, Any], **more: Any) -> Spec:
    """Return a sweep of a few designs."""
    space = {
        "memory": {"values": ["lpddr5x_9600", "hbm3e"]},
        "memory_devices": {"values": [8, 16]},
        "macs": {"values": [32768, 262144]},
        "link_gbps": 300,
        "weight_format": {"values": ["int4_g128", "fp8", "bf16"]},
        "kv_bits": {"values": [4, 8, 16]},
        "act_bits": {"values": [8, 16]},
    }
    first = next(iter(workloads))
    objectives = [{"metric": f"{first}.tpot_ms", "direction": "minimize"}]
    search = {"sampler": "sobol", "n_designs": 8}
    made = {"name": "few", "workloads": workloads, "space": space, "objectives": objectives, "search": search}
    return parse_spec({**made, **more})


def test_models_are_judged_as_before(held):
    models = {name: model for name, model in shipped_library().models.items() if model.complete}
    lengths = {"prompt_tokens": 1500, "output_tokens": 200, "batch": 3, "n_chips": 2}
    spec = sweep_of({name: {"model": name, **lengths} for name in models})
    space = Space(spec)
    designs = space.decode(np.random.default_rng(0).random((USUAL_ROWS, len(space.dimensions))))
    found = Evaluator(spec).evaluate(designs).metrics
    rows = {}
    for name, model in models.items():
        own = {
            metric.removeprefix(f"{name}."): values for metric, values in found.items() if metric.startswith(f"{name}.")
        }
        rows[name] = {metric: np.nansum(values) for metric, values in own.items()} | {
            "parameters": count_parameters(model).total
        }
    assert len(rows) > 50
    held(pd.DataFrame.from_dict(rows, orient="index"), "models")


def test_chips_are_judged_as_before(held):
    chips = {name: {"chips": f"2x {name}"} for name in shipped_library().chips}
    lengths = {"prompt_tokens": 700, "output_tokens": 100, "batch": 40}
    workloads = {"waves": {"model": "qwen3_30b_a3b", "batching": "waves", **lengths}}
    evaluator = Evaluator(sweep_of(workloads, baselines=chips))
    found = {name: evaluator.baseline_columns(entry) for name, entry in evaluator.spec.baselines.items()}
    rows = {name: {metric: values[0] for metric, values in columns.items()} for name, columns in found.items()}
    assert len(rows) > 80
    held(pd.DataFrame.from_dict(rows, orient="index"), "chips")


def test_measured_rows_are_predicted_as_before(held, tmp_path):
    library, columns = shipped_library(), {}
    for path in shipped(library):
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        some = tmp_path / path.name
        rows.iloc[:: max(1, len(rows) // MEASURED)].to_csv(some, index=False)
        form, read = read_measurements(some, library)
        found = predicted(form, read, Technology())
        columns |= {f"{path.stem} {name}": column for name, column in found.items()}
    held(summed(columns), "rows")


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_the_models_are_as_before(part, held):
    held(summed(PARTS[part]()), part)

"""Predicting and scoring whole measurement files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from dse.validation import kernels, operators, power, requests
from dse.validation.intervals import with_intervals
from dse.validation.kernels import kernel_tables
from dse.validation.own_chips import with_own_chips
from dse.validation.results import ScoreTable, Validation
from dse.validation.rows import NOTHING, Form, read_measurements, read_table
from dse.validation.score import source_of
from dse.validation.score_tables import energy_tables, excluded_tables, operator_tables, request_tables, summary

SHIPPED = (
    "open.csv", "e2e2_open.csv", "mlperf_open.csv", "micro_open.csv", "micro2_open.csv", "energy_open.csv",
    "energy2_open.csv", "excluded.csv",
)  # fmt: skip
"""Measurement files of the library."""

KERNEL_TABLES = ("weight_only_speedup.csv", "spmm_gpu.csv")
"""Tables of kernels on compressed weights."""


def shipped(library: Library) -> list[Path]:
    """Return the paths of the library's measurement files."""
    return [library.data_file(name) for name in (*SHIPPED, *KERNEL_TABLES)]


def run_validation(
    paths: Sequence[Path] = (), technology: Technology | None = None, *, given: Mapping[str, str] = NOTHING
) -> Validation:
    """Predict every row of measurement files and score the predictions.

    Args:
        paths: CSV files of the shipped forms, recognised by their columns, and results of benchmark tools; the shipped
            ones where empty.
        technology: parameters; the library's where None.
        given: cells of columns that files have not, or have empty.

    Raises:
        MeasurementError: a file cannot be read or has none of the forms.
    """
    technology = technology or Technology()
    files: dict[str, pd.DataFrame] = {}
    seen: dict[Form, list[pd.DataFrame]] = {}
    for path in paths or shipped(technology.library):
        technology = technology.with_library(with_own_chips(read_table(Path(path), given), technology.library))
        form, rows = read_measurements(Path(path), technology.library, given)
        scored = predicted(form, rows, technology)
        name = Path(path).name
        files[name if name not in files else str(path)] = _output(Path(path), scored, form, given)
        seen.setdefault(form, []).append(scored)
    together = {form: pd.concat(parts, ignore_index=True) for form, parts in seen.items()}
    served = together.get("requests", pd.DataFrame())
    tables: list[ScoreTable] = [summary(files)]
    if len(served):
        tables += request_tables(served, technology)
    if "operators" in together:
        tables += operator_tables(together["operators"])
    if "energy" in together:
        tables += energy_tables(together["energy"], technology)
    if "excluded" in together:
        tables += excluded_tables(together["excluded"])
    for form in ("weight_only", "sparse"):
        if form in together:
            tables += kernel_tables(together[form], form, technology)
    return Validation(files, tuple(tables), served)


def predicted(form: Form, rows: pd.DataFrame, technology: Technology) -> pd.DataFrame:
    """Return rows of one form with predictions, in the names that the scores use."""
    if form in ("weight_only", "sparse"):
        return kernels.predict(rows, form, technology)
    if form == "operators":
        made = operators.predict(operators.prepare(rows), technology)
    elif form == "energy":
        made = power.predict(power.prepare(rows, technology), technology)
        made["measured_s"], made["bound_s"] = made["measured_j"], np.nan
    else:
        made = requests.predict(requests.prepare(rows), technology)
        made["measured_s"] = requests.measured_s(made)
        made = with_intervals(made, technology.library)
    made["source"] = source_of(made)
    return made


def _output(path: Path, rows: pd.DataFrame, form: Form, given: Mapping[str, str]) -> pd.DataFrame:
    """Return the file as it was, with what `dse validate` adds."""
    out = read_table(path, given)
    out = out.rename(columns={"reason": "excluded_for"}) if form == "excluded" else out
    if form in ("weight_only", "sparse"):
        ratio = rows["measured_gain"] / rows["predicted_gain"]
        out["predicted"], out["ratio"] = rows["predicted_gain"].to_numpy(), ratio.to_numpy()
        out["bound"], out["bound_by"], out["stack"] = np.nan, "", rows["profile"].to_numpy()
        out["reason"], out["remark"] = rows["reason"].to_numpy(), ""
        return out
    if form == "energy":
        out["predicted"], out["predicted_w"] = rows["predicted_j"].to_numpy(), rows["predicted_w"].to_numpy()
        out["ratio"] = (rows["predicted_j"] / rows["measured_j"]).to_numpy()
        out["bound"], out["bound_by"] = np.nan, ""
    else:
        inverse = operators.in_metric_units if form == "operators" else requests.in_metric_units
        out["predicted"] = inverse(rows, rows["predicted_s"]).to_numpy()
        out["bound"] = inverse(rows, rows["bound_s"]).to_numpy()
        out["ratio"] = (rows["predicted_s"] / rows["measured_s"]).to_numpy()
        which = np.where(rows["memory_fraction"] >= 0.5, "memory", "arithmetic")
        collective = rows["quantity"].isin(["all_reduce", "all_gather", "alltoall"]).to_numpy()
        which = np.where(collective, "link", which)
        out["bound_by"] = np.where(rows["bound_s"].notna(), which, "")
    generic = np.where(rows["own_profile"].to_numpy(dtype=bool), "", " (generic: software has no profile)")
    stack = rows["stack"].to_numpy(dtype=object)
    out["stack"] = [f"{name}{note}" if name else "" for name, note in zip(stack, generic, strict=True)]
    if form in ("requests", "excluded"):
        out["used_batch"] = rows["used_batch"].to_numpy()
        ends = np.sort([inverse(rows, rows[end]) for end in ("low_s", "high_s")], axis=0)
        out["p10"], out["p90"] = ends
        out["inside"] = rows["inside"].map({True: "yes", False: "no"}).fillna("").to_numpy()
        out["interference_ms"] = (rows["interference_s"] * 1e3).to_numpy()
        out["fits"] = rows["fits"].map({True: "yes", False: "no"}).fillna("").to_numpy()
    out["reason"] = rows["reason"].to_numpy()
    said = [[str(text) for text in pair if text] for pair in zip(rows["read_as"], rows["remark"], strict=True)]
    out["remark"] = ["; ".join(texts) for texts in said]
    return out

"""Fit the profile "PyTorch with CUDA graphs" on half of the shapes that a GPU was measured on, score it on the others.

    python -m studies.fits.gpu rows/                       the folder that tools/measure_gpu/measure.py wrote
    python -m studies.fits.gpu rows/gpu_micro.csv rows/gpu_steps.csv --out profile.yaml

Prints the error of every kind of row before anything is fitted (the library as it is), then after, on the half that
was fitted and on the half that was not; then the constants, as an entry of ``stacks.yaml``. Nothing is written into
the library. Shapes are halved, not rows: all activation rows of a matrix, all contexts of a batch stay together.
Settings, starts and which rows tell a constant stand in ``gpu.yaml`` beside this script.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import least_squares

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import Choice, FloatArray
from dse.validation import operators, requests
from dse.validation.rows import MeasurementError, read_measurements

SETTINGS: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
FITS = "fits_on_chip_memory"
SOFTWARE = "|".join(SETTINGS["software"])
MIN_ROWS = 4


class FitError(ValueError):
    """The rows do not tell the profile."""


@dataclass(frozen=True)
class Fitted:
    """Constants from one half of the shapes.

    Attributes:
        values: constant to value.
        errors: standard error of each logarithm.
        rows: rows that were fitted.
    """

    values: Mapping[str, float]
    errors: Mapping[str, float]
    rows: int

    def technology(self) -> Technology:
        """Return the library's parameters with these constants in the profile that carries them."""
        return Technology({f"stacks.{SETTINGS['stack']}.{name}": value for name, value in self.values.items()})


def read_rows(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the rows that can be predicted, with ``form``, ``tells`` and ``half`` ("fitted" or "held out").

    Rows whose operands stay in the cache, rows without graphs, and energy say nothing of this profile and are left out.

    Raises:
        MeasurementError: a file is none of the forms.
        FitError: no row is left, or they stem from several chips.
    """
    parts = []
    for path in paths:
        form, rows = read_measurements(path, shipped_library())
        if form not in ("operators", "requests"):
            continue
        rows = (operators if form == "operators" else requests).prepare(rows)
        if form == "requests":
            rows["measured_s"] = requests.measured_s(rows)
        flag = rows["bound_flag"].fillna("") if "bound_flag" in rows else ""
        rows = rows[(rows["reason"] == "") & (flag != FITS) & rows["software"].str.contains(SOFTWARE)]
        parts.append(rows[rows["quantity"] != "memory_bandwidth"].assign(form=form))
    every = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if not len(every):
        raise FitError(f"no row of a GEMM, attention or pass by {SETTINGS['name']} on a chip of the library")
    if every["chip"].nunique() > 1:
        raise FitError(f"one chip at a time: the rows stem from {', '.join(sorted(every['chip'].unique()))}")
    every["tells"] = _kinds(every)
    every["half"] = _halves(every)
    return every


def _kinds(rows: pd.DataFrame) -> pd.Series:
    """Return the kind of each row as ``told_by`` names it, operand widths apart."""
    gemm = rows["quantity"] == "gemm"
    stored = rows["stored_bits"] if "stored_bits" in rows else pd.Series(16.0, index=rows.index)
    whole = rows["form"] == "requests"
    narrow = whole & (rows.reindex(columns=["weight_bits"])["weight_bits"] < 8)
    passes = rows["quantity"].mask(narrow, rows["quantity"] + ":4")
    four, eight = gemm & (stored < 8), gemm & (rows["act_bits"] <= 8)
    return passes.mask(four, "gemm:4").mask(eight, "gemm:8")


def _halves(rows: pd.DataFrame) -> pd.Series:
    """Return the half of each row: every second shape of a kind, in order of size, is held out."""
    columns = ["n", "k", "heads", "kv_heads", "batch", "model", "software"]
    known = rows.reindex(columns=columns)
    half = pd.Series("fitted", index=rows.index)
    for _, part in known.groupby(rows["tells"]):
        shapes = part.map(str).agg("|".join, axis=1)
        size = part[["n", "k", "heads", "kv_heads", "batch"]].fillna(1).astype(float).prod(axis=1)
        order = pd.DataFrame({"shape": shapes, "size": size}).drop_duplicates().sort_values(["size", "shape"])["shape"]
        half[part.index[shapes.isin(set(order.iloc[1::2]))]] = "held out"
    return half


def predict(rows: pd.DataFrame, technology: Technology, *, stack: str | None = None) -> pd.Series:
    """Return predicted seconds; by a named profile, or by the ones that the software names choose."""
    made = pd.Series(np.nan, index=rows.index)
    for form, part in rows.groupby("form"):
        chosen = None if stack is None else Choice.same(stack, len(part))
        if form == "operators":
            result = operators.predict(part, technology, stack=chosen)
        else:
            result = requests.predict(part, technology, stack=chosen, bounds=False)
        made[part.index] = result["predicted_s"]
    return made


def constants_of(rows: pd.DataFrame) -> dict[str, float]:
    """Return the constants that the rows tell, with their starts."""
    kinds = set(rows["tells"])
    return {
        name: float(entry["start"]) for name, entry in SETTINGS["constants"].items() if kinds & set(entry["told_by"])
    }


def fit(rows: pd.DataFrame) -> Fitted:
    """Return the constants that predict rows best.

    Robust least squares on the logarithm of predicted over measured time, as in `studies.fits.stacks`: a kind of rows
    pulls with the square root of their number, every constant is pulled to its start.

    Raises:
        FitError: there are fewer rows than constants.
    """
    start = constants_of(rows)
    if len(rows) < max(len(start), MIN_ROWS):
        raise FitError(f"{len(rows)} rows to fit do not tell {len(start)} constants: {', '.join(start)}")
    names, first = list(start), np.array(list(start.values()))
    measured = np.log(rows["measured_s"].to_numpy())
    weight = rows.groupby("tells")["tells"].transform("size").to_numpy() ** -0.25
    knee, error, spread = (float(SETTINGS[key]) for key in ("robust_from", "row_error", "prior_spread"))

    def misfit(x: FloatArray) -> FloatArray:
        made = Fitted(dict(zip(names, first * np.exp(x), strict=True)), {}, 0)
        ratio = np.log(predict(rows, made.technology(), stack=SETTINGS["stack"]).to_numpy()) - measured
        soft = np.sign(ratio) * knee * np.sqrt(2 * (np.sqrt(1 + (ratio / knee) ** 2) - 1))
        return np.concatenate([weight * soft / error, x / spread])

    upper = np.array([np.log(1 / value) if name.endswith("_fraction") else 6.0 for name, value in start.items()]) + 1e-9
    result = least_squares(
        misfit, np.minimum(np.zeros(len(names)), upper - 1e-6), bounds=(np.full(len(names), -6.0), upper),
        diff_step=1e-3, xtol=1e-5, ftol=1e-6, max_nfev=40,
    )  # fmt: skip
    spreads = np.sqrt(np.diag(np.linalg.inv(result.jac.T @ result.jac)))
    values = (first * np.exp(result.x)).tolist()
    return Fitted(dict(zip(names, values, strict=True)), dict(zip(names, spreads.tolist(), strict=True)), len(rows))


def score(rows: pd.DataFrame, fitted: Fitted) -> pd.DataFrame:
    """Return per kind and half: rows, median absolute error and bias before and after the fit."""
    reported = rows.assign(
        before=predict(rows, Technology()) / rows["measured_s"],
        after=predict(rows, fitted.technology(), stack=SETTINGS["stack"]) / rows["measured_s"],
    )
    lines = []
    for (kind, half), part in reported.groupby(["tells", "half"]):
        line: dict[str, object] = {"kind": kind, "half": half, "rows": len(part)}
        for name in ("before", "after"):
            line[f"error {name}"] = f"{100 * (part[name] - 1).abs().median():.1f} %"
            line[f"bias {name}"] = f"{np.exp(np.log(part[name]).mean()):.2f}"
        lines.append(line)
    return pd.DataFrame(lines)


def entry(fitted: Fitted, chip: str) -> str:
    """Return the profile as an entry of ``stacks.yaml``; low and high are two standard errors."""
    lines = [
        f"  {SETTINGS['key']}:",
        f'    name: "{SETTINGS["name"]}"',
        f"    base: {SETTINGS['stack']}",
        f"    software: {SETTINGS['software']}",
        "    src: [derived]",
    ]
    for name, value in fitted.values.items():
        factor = float(np.exp(2 * fitted.errors[name]))
        high = min(value * factor, 1.0) if name.endswith("_fraction") else value * factor
        numbers = f"low: {_yaml(value / factor)}, typ: {_yaml(value)}, high: {_yaml(high)}"
        start = float(SETTINGS["constants"][name]["start"])
        note = f"fitted on {fitted.rows} measured rows ({chip}) from a start of {start:.3g}"
        note += "; low and high are two standard errors"
        lines.append(f'    {name}: {{{numbers}, src: [derived], conf: medium, note: "{note}"}}')
    return "\n".join(lines) + "\n"


def _yaml(value: float) -> str:
    """Return a number as YAML 1.1 reads one: exponents need a point and a sign."""
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    if not exponent:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are meant: of a folder, those of operators and passes that the benchmark writes."""
    result = []
    for path in paths:
        inside = [path / name for name in ("gpu_micro.csv", "gpu_steps.csv")]
        result += [file for file in inside if file.exists()] if path.is_dir() else [path]
    return result


def main(words: Sequence[str] | None = None) -> int:
    """Fit, score and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", type=Path, help="folders or files of measured rows")
    parser.add_argument("--out", type=Path, help="write the profile there as well")
    arguments = parser.parse_args(words)
    try:
        rows = read_rows(files_of(arguments.rows))
        fitted = fit(rows[rows["half"] == "fitted"])
    except (FitError, MeasurementError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{rows['chip'].iloc[0]}: {len(rows)} rows, {fitted.rows} of them fitted; errors are medians")
    print(score(rows, fitted).to_string(index=False))
    profile = entry(fitted, str(rows["chip"].iloc[0]))
    print(f"\nfor cost_models/library/data/stacks.yaml:\n{profile}", end="")
    if arguments.out is not None:
        arguments.out.write_text(profile, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

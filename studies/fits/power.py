"""Fit the few energy constants of programmable chips on measured power of served models.

Every row with a measured throughput takes its own measured time, so that errors of time cannot hide in the energy:
what is fitted is the mean power of a board that does this work in this time. Robust least squares on the logarithm of
predicted over measured watts; each pair of source and chip pulls with the square root of its rows; each constant is
pulled to its start. Rows whose time is not understood (``time_within``) are predicted and shown but pull at nothing.
Each source and each chip is left out in turn: ``power_folds.csv`` of the library, from which `dse validate` scores
unseen chips and sources.

    python -m studies.fits.power            fit and print
    python -m studies.fits.power --write    and put the constants and the folds into the library
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import least_squares

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from dse.validation import power
from dse.validation.rows import read_measurements
from dse.validation.setups import stacks

LIBRARY = shipped_library()
SETTINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
CONSTANTS: Mapping[str, Mapping[str, Any]] = SETTINGS["constants"]
STEP = 0.03
FILES = ("energy_open.csv", "energy2_open.csv")


@dataclass(frozen=True)
class Fit:
    """Constants from some rows: values, standard errors of their logarithms, watts predicted for all rows."""

    values: dict[str, float]
    errors: dict[str, float]
    rows: int
    watts: pd.Series


def open_rows() -> pd.DataFrame:
    """Return the served rows that a fit may use."""
    technology = Technology()
    parts = [power.prepare(read_measurements(LIBRARY.data_file(name), LIBRARY)[1], technology) for name in FILES]
    rows = pd.concat(parts, ignore_index=True)
    usable = (rows["reason"] == "") & (rows["quantity"] == "served") & rows["grade"].isin(SETTINGS["grades"])
    rows = rows[usable & (rows["power_W_total"] > 0) & (rows["output_tokens_per_s"] > 0)].reset_index(drop=True)
    rows["stack"] = stacks(rows, LIBRARY)[0].names()
    stretch = pd.concat([power.served_power(part, technology)["stretch"] for _, part in rows.groupby("model")])
    rows["known"] = np.abs(np.log(stretch.reindex(rows.index))) <= np.log(float(SETTINGS["time_within"]))
    return rows


def overrides(values: Mapping[str, float]) -> dict[str, float]:
    """Return overrides for parameters by path, for those that go with them, and for every stack that inherits any."""
    reported = {}
    for path, value in values.items():
        heads = {id(LIBRARY.parameters[name]) for name in (path, *CONSTANTS[path].get("with", ()))}
        reported |= {name: value for name, parameter in LIBRARY.parameters.items() if id(parameter) in heads}
    return reported


def watts(rows: pd.DataFrame, values: Mapping[str, float]) -> pd.Series:
    """Return predicted watts of rows in the time that each took."""
    technology = Technology(overrides(values))
    parts = [
        power.served_power(part, technology, timed=True)["predicted_w"] for _, part in rows.groupby("model", sort=False)
    ]
    return pd.concat(parts).reindex(rows.index)


def fit(rows: pd.DataFrame, used: FloatArray) -> Fit:
    """Return the constants that predict the power of the `used` rows best."""
    names = list(CONSTANTS)
    start = np.array([float(CONSTANTS[name]["start"]) for name in names])
    some = rows[used & rows["known"].to_numpy(dtype=bool)]
    weight = some.groupby(["source_id", "chip"])["chip"].transform("size").to_numpy() ** -0.25
    knee, error, spread = (float(SETTINGS[key]) for key in ("robust_from", "row_error", "prior_spread"))

    def misfit(x: FloatArray) -> FloatArray:
        values = dict(zip(names, start * np.exp(x), strict=True))
        ratio = np.log((watts(some, values) / some["power_W_total"]).to_numpy())
        soft = np.sign(ratio) * knee * np.sqrt(2 * (np.sqrt(1 + (ratio / knee) ** 2) - 1))
        return np.concatenate([weight * soft / error, x / spread])

    result = least_squares(misfit, np.zeros(len(names)), diff_step=STEP, x_scale=1.0, xtol=1e-3, ftol=1e-4, max_nfev=12)
    values = dict(zip(names, (start * np.exp(result.x)).tolist(), strict=True))
    errors = np.sqrt(np.diag(np.linalg.inv(result.jac.T @ result.jac)))
    return Fit(values, dict(zip(names, errors.tolist(), strict=True)), len(some), watts(rows, values))


def put(path: str, line: str, name_of_file: str) -> None:
    """Replace one parameter of a YAML file of the library."""
    file = LIBRARY.directory / "data" / name_of_file
    text = file.read_text()
    *above, name = path.split(".")
    begin = re.search(rf"^ *{above[-1]}:$", text, re.MULTILINE)
    if begin is None:
        raise SystemExit(f"{file.name} has no {above[-1]}")
    head, tail = text[: begin.end()], text[begin.end() :]
    file.write_text(
        head + re.sub(rf"^( +{name}: ).*$", lambda found: found[1] + line, tail, count=1, flags=re.MULTILINE)
    )


def main() -> None:
    """Fit, print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="put constants and folds into the library")
    arguments = options.parse_args()
    rows = open_rows()
    whole = fit(rows, np.ones(len(rows), dtype=bool))
    left: dict[tuple[str, str], Fit] = {}
    for kind in ("chip", "source_id"):
        for name in sorted(rows[kind].unique()):
            left[kind, name] = fit(rows, (rows[kind] != name).to_numpy())
    table = rows.assign(whole=whole.watts / rows["power_W_total"])
    for kind in ("chip", "source_id"):
        table[kind + "_out"] = 0.0
        for name in rows[kind].unique():
            here = rows[kind] == name
            table.loc[here, kind + "_out"] = (left[kind, name].watts / rows["power_W_total"])[here]
    kept = ["whole", "chip_out", "source_id_out"]
    print(
        table[table["known"]]
        .groupby(["source_id", "chip"])[kept]
        .agg(lambda r: (r - 1).abs().median())
        .round(3)
        .to_string()
    )
    groups = table.groupby(["source_id", "chip", "stack", "model", "n_chips", "known"])[kept]
    print(
        pd.concat({"bias": groups.median(), "error": groups.agg(lambda r: (r - 1).abs().median())}, axis=1)
        .round(3)
        .to_string()
    )
    lines = []
    for name, value in whole.values.items():
        others = [result.values[name] for result in left.values()]
        error = np.exp(2 * whole.errors[name])
        low, high = min([value / error, *others]), max([value * error, *others])
        print(f"{name:48s} {low:10.4g} {value:10.4g} {high:10.4g}", [f"{x:.3g}" for x in others])
        note = (
            f"fitted on the power of {whole.rows} rows ({', '.join(sorted(rows['source_id'].unique()))}) in measured "
            f"time from a start of {float(CONSTANTS[name]['start']):.3g}; low and high are two standard errors; "
            f"{min(others):.3g} to {max(others):.3g} with a chip or source left out"
        )
        if arguments.write:
            numbers = f"low: {low:.4g}, typ: {value:.4g}, high: {high:.4g}"
            for path in (name, *CONSTANTS[name].get("with", ())):
                put(path, f'{{{numbers}, src: [derived], conf: medium, note: "{note}"}}', str(CONSTANTS[name]["file"]))
        for (kind, out), result in left.items():
            reported = overrides({name: result.values[name]})
            lines += [(kind, out, path, f"{number:.5g}") for path, number in reported.items()]
    if arguments.write:
        folds = pd.DataFrame(lines, columns=["kind", "left_out", "parameter", "value"])
        folds.to_csv(LIBRARY.data_file("power_folds.csv"), index=False)


if __name__ == "__main__":
    main()

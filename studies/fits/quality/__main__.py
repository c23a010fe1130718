"""Fit the constants of ``cost_models/library/data/quality.yaml`` to ``quality.csv``, and say how well they predict.

python -m studies.fits.quality              report
python -m studies.fits.quality --write      report, and write the constants into quality.yaml
python -m studies.fits.quality --pictures   report, and draw docs/pictures/quality_*.png
"""

from __future__ import annotations

import argparse
import re
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.table import FloatArray
from cost_models.weights.quality import KV_METHODS
from studies.fits.quality import fit as quality_fit
from studies.fits.quality.fit import FOLDS, Constants, Form, Intervals, bootstrap, calibrate, cross_validate, fit
from studies.fits.quality.ranges import ranges
from studies.fits.quality.reported import reproduce
from studies.fits.quality.rows import pruned, quantised, read_joint, read_rows
from studies.fits.quality.sensitivity import Effect, effects_of, learnt_factors
from studies.fits.quality_activations import activation_constants
from studies.fits.quality_cache import kv_constants

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
REPEATS = 200
"""Resamplings of the bootstrap."""


@dataclass(frozen=True)
class Result:
    """One fitted form.

    Attributes:
        form: the equation.
        rows: what it was fitted to.
        constants: what it found.
        in_sample: predicted y of the rows.
        left_out: predicted y without the row's model, source or family, by what was left out.
        intervals: calibrated on left-out models.
    """

    form: Form
    rows: pd.DataFrame
    constants: Constants
    in_sample: FloatArray
    left_out: dict[str, FloatArray]
    intervals: Intervals


def solve(form: Form, rows: pd.DataFrame, *, folds: tuple[str, ...] = FOLDS) -> Result:
    """Fit a form, cross-validate it over `folds` ("model" among them) and calibrate its intervals."""
    constants = fit(form, rows)
    left_out = {fold: cross_validate(form, rows, fold) for fold in folds}
    intervals = calibrate(form, rows, left_out["model"])
    return Result(form, rows, constants, form.predict(rows, constants), left_out, intervals)


def solve_quantisation(*, folds: tuple[str, ...] = FOLDS) -> Result:
    """Return the fit of quantised models."""
    return solve(quality_fit.QUANTISATION, quantised(read_rows()), folds=folds)


def solve_pruning(*, folds: tuple[str, ...] = FOLDS) -> Result:
    """Return the fit of pruned models, unstructured and N:M."""
    return solve(quality_fit.PRUNING, pruned(read_rows()), folds=folds)


def joint_interaction() -> float:
    """Return by how much more quantisation costs a pruned model than a dense one: mean over the rows, less 1."""
    rows = read_joint()
    return float(((rows["y"] - rows["pruned"]) / rows["quantised"]).mean() - 1)


def told_effects(quantisation: Result) -> dict[str, Effect]:
    """Return the models whose damage can be told from the law's, with how far, by the path of their constant."""
    effects = effects_of(quantisation.rows, quantisation.in_sample)
    return {f"quantisation.sensitivity.{name}": one for name, one in effects.items() if one.is_told}


def fitted(quantisation: Result, pruning: Result) -> Constants:
    """Return every constant that the data give, by its path under ``quality.``."""
    found = quantisation.constants | pruning.constants | ranges(quantisation.rows, pruning.rows)
    found |= {path: float(np.exp(one.middle)) for path, one in told_effects(quantisation).items()}
    for section, result in (("quantisation", quantisation), ("pruning", pruning)):
        for name, (below, above) in result.intervals.ends.items():
            found |= {f"{section}.spread_below.{name}": below, f"{section}.spread_above.{name}": above}
    found |= kv_constants(quantisation.constants["quantisation.alpha"])
    found |= activation_constants(quantisation.constants)
    return found | {"joint_interaction": joint_interaction()}


def report(quantisation: Result, pruning: Result) -> str:
    """Return errors in and out of sample, collapse, intervals and the first fits beside them, as a table."""
    head = ("rows", "sd ln y", "median", "R2", "ppl med", "ppl p90")
    lines = [f"{'':40}" + "".join(f"{word:>10}" for word in head)]

    def line(name: str, errors: quality_fit.Errors) -> None:
        lines.append(f"{name:40}" + "".join(f"{value:10.4g}" for value in astuple(errors)))

    for first in reproduce(quantisation.rows, pruning.rows):
        line(f"first fit, {first.name}", first.errors)
        line("  without the row's model", first.left_out)
    for name, result in (("quantisation", quantisation), ("pruning", pruning)):
        measured = result.rows["y"].to_numpy()
        for part, chosen in _parts(name, result.rows).items():
            predictions = {"": result.in_sample} | result.left_out
            for fold, predicted in predictions.items():
                label = f"  without the row's {fold.removeprefix('model_')}" if fold else part
                below = quality_fit.PRUNING_RISE if name == "pruning" else 1.0
                line(label, quality_fit.errors_of(measured[chosen], predicted[chosen], below=below))
        if name == "quantisation":
            for fold in FOLDS:
                predicted = cross_validate(result.form, result.rows, fold, learnt_factors)
                line(f"    with effects of other {fold}s", quality_fit.errors_of(measured, predicted))
        alarms = quality_fit.alarms_of(measured, result.left_out["model"])
        lines.append(
            f"  {alarms.called} of {alarms.collapsed} collapsed rows (y > 1) called unusable without their model; "
            f"{alarms.false} of {alarms.calls} calls false"
        )
        lines.append(
            f"  90 % interval covers {result.intervals.coverage:.1%} of {result.intervals.rows} rows of unseen models"
        )
    return "\n".join(lines)


def _parts(name: str, rows: pd.DataFrame) -> dict[str, FloatArray]:
    if name == "quantisation":
        return {name: np.full(len(rows), True)}
    free = np.isinf(rows["block"]).to_numpy()
    return {"pruning, unstructured": free, "pruning, N:M": ~free}


def fragment(constants: Constants, spread: dict[str, tuple[float, float]]) -> dict[str, str]:
    """Return the numbers of each fitted entry as YAML, by path; `spread` has the range of some."""
    texts = {}
    for path, value in constants.items():
        low, high = spread.get(path, (value, value))
        if low < high:
            texts[path] = f"low: {min(low, value):.3g}, typ: {value:.4g}, high: {max(high, value):.3g}"
        else:
            texts[path] = f"value: {value:.4g}"
    return texts


def write(texts: dict[str, str], file: Path) -> None:
    """Replace the numbers of entries of a YAML file, one entry per line, and leave everything else as it is.

    Raises:
        KeyError: an entry is not in the file.
    """
    left, above, lines = dict(texts), [], []
    for text in file.read_text(encoding="utf-8").splitlines():
        match = re.match(r"( *)(\w+):", text)
        if match:
            above = [*above[: len(match[1]) // 2], match[2]]
            numbers = left.pop(".".join(above[1:]), None)
            if numbers is not None:
                text = re.sub(r"\{(low: [^,]+, )?(typ|value): [^,]+(, high: [^,]+)?, ", f"{{{numbers}, ", text, count=1)
        lines.append(text)
    if left:
        raise KeyError(f"{file}: no entry {', '.join(left)}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the fits from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the constants into quality.yaml")
    parser.add_argument("--pictures", action="store_true", help="draw docs/pictures/quality_*.png")
    options = parser.parse_args()
    quantisation, pruning = solve_quantisation(), solve_pruning()
    print(report(quantisation, pruning))
    if options.write:
        spread = {}
        for result in (quantisation, pruning):
            spread |= bootstrap(result.form, result.rows, repeats=REPEATS)
        constants = fitted(quantisation, pruning)
        for path, one in told_effects(quantisation).items():
            spread[path] = (float(np.exp(one.low)), float(np.exp(one.high)))
        for method in KV_METHODS:
            damage, above = constants[f"kv.damage_at_4_bit.{method}"], constants[f"kv.spread_above.{method}"]
            spread[f"kv.damage_at_4_bit.{method}"] = (0.0, damage * float(np.exp(above)))
        spread["joint_interaction"] = (0.0, 2 * constants["joint_interaction"])
        write(fragment(constants, spread), shipped_library().directory / "data" / "quality.yaml")
    if options.pictures:
        from studies.fits.quality.pictures import draw

        sampled = {"Quantised": quantisation, "Pruned": pruning}
        draw({name: (result.rows, result.left_out["model"]) for name, result in sampled.items()}, PICTURES)


if __name__ == "__main__":
    main()

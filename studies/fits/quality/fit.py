"""Fitting the quality model's own functions: robust least squares, cross-validation, bootstrap, intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from cost_models.library.technology import Technology
from cost_models.table import FloatArray
from cost_models.weights.quality import pruning_damage, quantisation_damage, rise
from studies.fits.quality.rows import PRUNING_CLASSES, PRUNING_RISE, QUANTISATION_CLASSES

SCALE = 0.3
"""Residuals of ln y beyond this count linearly, not squared (soft L1)."""
FOLDS = ("model", "source", "model_family")
"""What cross-validation leaves out, one at a time."""
POSITIVE = (1e-4, 1e2)
"""Where constants above 0 are looked for; only samples of the bootstrap without a row that tells come near."""
MIN_CLASS_ROWS = 30
"""Rows from which a method class has an interval of its own."""
INTERVAL = (0.025, 0.975)
"""Percentiles of the errors that bound the interval. Rows of one model err together: with these, 90 % of the rows of
a model that the interval has not seen lie inside."""
STILL_A_MODEL = 1.5
"""Intervals come from rows with a predicted y below this; collapsed models need none."""

Constants = dict[str, float]
"""Path under ``quality.`` to value."""


@dataclass(frozen=True)
class Form:
    """One fitted equation.

    Attributes:
        classes: method classes, each with a constant.
        start: starting values of all constants, by path; those in `positive` are fitted as logarithms.
        positive: paths of constants above 0.
        predict: y of rows under constants.
        trained_on: the rows that a fit takes among those given.
    """

    classes: tuple[str, ...]
    start: Constants
    positive: frozenset[str]
    predict: Callable[[pd.DataFrame, Constants], FloatArray]
    trained_on: Callable[[pd.DataFrame], pd.DataFrame]


def predict_quantised(rows: pd.DataFrame, constants: Constants) -> FloatArray:
    """Return the predicted y of quantisation rows."""
    column = rows["method_class"].map
    technology = _technology(constants, ("kappa", "gamma", "alpha"), "quantisation")
    damage = quantisation_damage(
        rows["bits"].to_numpy(),
        rows["group"].to_numpy(),
        rows["tokens"].to_numpy(),
        damage=column(lambda name: constants[f"quantisation.damage_at_4_bit.{name}"]).to_numpy(),
        runaway=column(lambda name: constants.get(f"quantisation.runaway.{name}", 0.0)).to_numpy(),
        technology=technology,
    )
    return rise(damage, technology)


def predict_pruned(rows: pd.DataFrame, constants: Constants) -> FloatArray:
    """Return the predicted y of pruning rows."""
    technology = _technology(constants, ("power", "alpha", "size", "nm", "nm_size"), "pruning")
    damage = pruning_damage(
        rows["sparsity"].to_numpy(),
        rows["block"].to_numpy(),
        rows["tokens"].to_numpy(),
        rows["params_B"].to_numpy(),
        damage=rows["method_class"].map(lambda name: constants[f"pruning.damage.{name}"]).to_numpy(),
        technology=technology,
    )
    return rise(damage, technology)


def _technology(constants: Constants, names: tuple[str, ...], section: str) -> Technology:
    return Technology({f"quality.{section}.{name}": constants[f"{section}.{name}"] for name in names})


def _form(
    section: str, damage: str, classes: tuple[str, ...], shared: Constants, positive: Constants,
    predict: Callable[[pd.DataFrame, Constants], FloatArray],
    trained_on: Callable[[pd.DataFrame], pd.DataFrame],
) -> Form:  # fmt: skip
    own = {f"{section}.{damage}.{name}": 0.03 for name in classes} | positive
    start = own | {f"{section}.{name}": value for name, value in shared.items()}
    return Form(classes, start, frozenset(own), predict, trained_on)


QUANTISATION = _form(
    "quantisation", "damage_at_4_bit", QUANTISATION_CLASSES,
    {"kappa": 2.3, "gamma": 0.25, "alpha": 0.4},
    {"quantisation.runaway.rtn": 1.0, "quantisation.runaway.gptq": 1.0, "quantisation.runaway.awq": 5.0},
    predict_quantised,
    lambda rows: rows,
)  # fmt: skip
PRUNING = _form(
    "pruning", "damage", PRUNING_CLASSES,
    {"power": 2.5, "alpha": 0.4, "size": -0.1, "nm": 1.0, "nm_size": -0.1}, {},
    predict_pruned,
    lambda rows: rows[rows["y"] < PRUNING_RISE],
)  # fmt: skip


def fit(form: Form, rows: pd.DataFrame, *, start: Constants | None = None) -> Constants:
    """Return the constants that fit ln y of the rows best; those of classes without rows keep their start.

    Args:
        form: the equation.
        rows: measurements.
        start: where to start from, the form's own start where None.
    """
    rows = form.trained_on(rows)
    observed = np.log(rows["y"].to_numpy())
    paths = list(form.start)
    logged = np.array([path in form.positive for path in paths])

    def constants(vector: FloatArray) -> Constants:
        return dict(zip(paths, np.where(logged, np.exp(np.where(logged, vector, 0)), vector).tolist(), strict=True))

    def residuals(vector: FloatArray) -> FloatArray:
        return np.log(form.predict(rows, constants(vector))) - observed

    values = np.array([(start or form.start)[path] for path in paths])
    first = np.where(logged, np.log(np.where(logged, values, 1)), values)
    edges = tuple(np.where(logged, np.log(edge), far) for edge, far in zip(POSITIVE, (-np.inf, np.inf), strict=True))
    return constants(least_squares(residuals, first, bounds=edges, loss="soft_l1", f_scale=SCALE).x)


def cross_validate(
    form: Form,
    rows: pd.DataFrame,
    fold: str,
    factors: Callable[[pd.DataFrame, FloatArray, pd.DataFrame], FloatArray] | None = None,
) -> FloatArray:
    """Return y of every row predicted by a fit that has not seen its model, source or family.

    Rows whose method class nothing else shows are NaN. Without a source, its rows that other sources reprint are
    left out too.

    Args:
        form: the equation.
        rows: measurements.
        fold: column of what is left out at a time.
        factors: gives what the damage of rows is to be multiplied by, from the rows of the fit and its y of them.
    """
    predicted = np.full(len(rows), np.nan)
    columns = ["model", "method_class", "bits", "group", "sparsity", "pattern", "ppl"]
    printed = pd.Series(list(rows[columns].fillna(0).round({"ppl": 2}).itertuples(index=False, name=None)))
    start = fit(form, rows)
    for name in rows[fold].unique():
        out = (rows[fold] == name).to_numpy()
        train = rows[~out & ~printed.isin(printed[out]).to_numpy()]
        known = out & rows["method_class"].isin(form.trained_on(train)["method_class"]).to_numpy()
        if known.any():
            constants = fit(form, train, start=start)
            predicted[known] = form.predict(rows[known], constants)
            if factors is not None:
                own = factors(train, form.predict(train, constants), rows[known])
                predicted[known] = np.where(
                    own == 1, predicted[known], rise(own * damage_of(predicted[known]), Technology())
                )
    return predicted


def bootstrap(form: Form, rows: pd.DataFrame, *, repeats: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return 5th and 95th percentile of every constant over resampled models.

    Whole models are drawn, not rows: the rows of one model err together. Constants of classes that a draw misses
    are left out of it.
    """
    rng, start = np.random.default_rng(seed), fit(form, rows)
    models = rows["model"].unique()
    parts = {name: part for name, part in rows.groupby("model")}
    draws: dict[str, list[float]] = {path: [] for path in form.start}
    for _ in range(repeats):
        sampled = pd.concat([parts[name] for name in rng.choice(models, len(models))])
        seen = set(form.trained_on(sampled)["method_class"])
        for path, value in fit(form, sampled, start=start).items():
            if path.split(".")[-1] not in form.classes or path.split(".")[-1] in seen:
                draws[path].append(value)
    return {path: (float(np.quantile(d, 0.05)), float(np.quantile(d, 0.95))) for path, d in draws.items()}


def damage_of(y: FloatArray) -> FloatArray:
    """Return the damage that makes a rise, the inverse of `cost_models.weights.quality.rise`; finite at the ceiling."""
    guessed = np.minimum(y / Technology().value("quality.ceiling"), 1 - np.finfo(np.float64).eps)
    return y / (1 - guessed)


def interval_groups(classes: pd.Series) -> pd.Series:
    """Return which interval each row belongs to: its class where that has rows enough, else one for the others."""
    return classes.where(classes.map(classes.value_counts()) >= MIN_CLASS_ROWS, "others")


def spreads(errors: FloatArray, groups: pd.Series) -> dict[str, tuple[float, float]]:
    """Return per group how far the logarithm of damage lies below and above its prediction.

    Args:
        errors: ln of measured over predicted damage, from cross-validation.
        groups: the interval of each row.
    """
    ends = pd.Series(errors).groupby(groups.to_numpy()).quantile(list(INTERVAL)).unstack()
    return {str(name): (float(-row.iloc[0]), float(row.iloc[1])) for name, row in ends.iterrows()}


def covered(errors: FloatArray, groups: pd.Series, models: pd.Series) -> FloatArray:
    """Return whether each row lies inside the interval that the other models' errors give."""
    inside = np.zeros(len(errors), dtype=bool)
    for name in models.unique():
        out = (models == name).to_numpy()
        ends = spreads(errors[~out], groups[~out])
        below, above = (groups[out].map({group: end[side] for group, end in ends.items()}) for side in (0, 1))
        inside[out] = (errors[out] >= -below.to_numpy()) & (errors[out] <= above.to_numpy())
    return inside


@dataclass(frozen=True)
class Intervals:
    """The intervals of one form and how well they hold.

    Attributes:
        ends: per method class, how far ln damage lies below and above its prediction.
        coverage: share of rows inside intervals that have not seen their model.
        rows: rows that this was counted on.
    """

    ends: dict[str, tuple[float, float]]
    coverage: float
    rows: int


def calibrate(form: Form, rows: pd.DataFrame, predicted: FloatArray) -> Intervals:
    """Return the intervals that predictions of left-out models call for."""
    taken = predicted < STILL_A_MODEL
    rows, predicted = rows[taken].reset_index(drop=True), predicted[taken]
    errors = np.log(damage_of(rows["y"].to_numpy()) / damage_of(predicted))
    groups = interval_groups(rows["method_class"])
    ends = spreads(errors, groups)
    own = {name: ends.get(name, ends.get("others", (0.0, 0.0))) for name in form.classes}
    return Intervals(own, float(covered(errors, groups, rows["model"]).mean()), len(rows))


@dataclass(frozen=True)
class Errors:
    """How far predictions lie from measurements.

    Attributes:
        rows: measured rows with a prediction, y below 1.
        deviation: standard deviation of ln(measured y / predicted y).
        median: median of its absolute value.
        r2: share of the variance of ln y explained.
        perplexity_median: median relative error of perplexity.
        perplexity_p90: its 90th percentile.
    """

    rows: int
    deviation: float
    median: float
    r2: float
    perplexity_median: float
    perplexity_p90: float


def errors_of(measured: FloatArray, predicted: FloatArray, *, below: float = 1.0) -> Errors:
    """Return the errors over rows measured below a rise, rows without a prediction left out."""
    taken = ~np.isnan(predicted) & (measured < below)
    measured, predicted = measured[taken], predicted[taken]
    logs = np.log(measured / predicted)
    relative = np.abs(np.expm1(predicted - measured))
    total = np.log(measured) - np.log(measured).mean()
    return Errors(
        rows=int(taken.sum()),
        deviation=float(logs.std()),
        median=float(np.median(np.abs(logs))),
        r2=float(1 - (logs**2).sum() / (total**2).sum()),
        perplexity_median=float(np.median(relative)),
        perplexity_p90=float(np.quantile(relative, 0.9)),
    )


@dataclass(frozen=True)
class Alarms:
    """How well collapse is predicted.

    Attributes:
        collapsed: rows measured above y = 1.
        called: those of them called unusable.
        calls: rows called unusable.
        false: those of them that are measured usable, y below the limit.
    """

    collapsed: int
    called: int
    calls: int
    false: int


def alarms_of(measured: FloatArray, predicted: FloatArray) -> Alarms:
    """Return how many collapsed rows are called unusable, and how many others."""
    known = ~np.isnan(predicted)
    measured, predicted = measured[known], predicted[known]
    limit = Technology().value("quality.unusable_y")
    calls, collapsed = predicted > limit, measured > 1
    return Alarms(*(int(part.sum()) for part in (collapsed, calls & collapsed, calls, calls & (measured < limit))))

"""Whether the models and the library of today give a stored run the numbers that it was written with."""

from __future__ import annotations

from dse.results.manifest import again, written_by
from dse.results.picks import default_pick
from dse.results.store import StoredRun
from dse.space import Space
from dse.space.given import given_designs

SAME = 1e-3
"""Relative difference up to which nobody would see one: figures are shown with three or four digits."""


def moved_numbers(run: StoredRun) -> str:
    """Return what to say where the knee, or else the first pick, has other numbers today; "" where it has not.

    What is worked out anew of such a run, a breakdown or a comparison, does not belong to its table.
    """
    spec, picks = run.spec, {pick["name"]: pick for pick in run.picks}
    if (name := default_pick(picks)) is None:
        return ""
    now = run.evaluator.evaluate(given_designs(Space(spec), spec, picks[name]["design"])).metrics
    own = spec.model.metrics if spec.model is not None else ()
    then = {metric: value for metric, value in picks[name]["metrics"].items() if metric in now and metric not in own}
    apart = {metric: abs(now[metric][0] - value) - SAME * abs(value) for metric, value in then.items()}
    other = [metric for metric, beyond in apart.items() if not beyond <= 0]
    if not other:
        return ""
    asked = next((objective.metric for objective in spec.objectives if objective.metric in other), other[0])
    figures = f"{now[asked][0]:.4g}, not {then[asked]:.4g}"
    return (
        f"{run.path}: WARNING: was {written_by(run.manifest)}; by the models and library of today {asked} of its "
        f"{name} is {figures}. What is worked out now is by those of today; {again(run.path)}"
    )

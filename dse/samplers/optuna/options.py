"""Arguments of Optuna's samplers as a sweep can write them: numbers, words, and names of Optuna's own classes.

An argument that is an object of a class of Optuna's is the name of the class, or that name with its arguments:
``crossover: {SBXCrossover: {eta: 10}}``, ``independent_sampler: RandomSampler``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dse.errors import Issue, SpecError
from dse.samplers.optuna.quiet import quiet
from dse.space import Space
from dse.sweep.hints import one_of, quoted, suggest

PYTHON_ONLY = (
    "constraints_func", "gamma", "weights", "elite_population_selection_strategy", "child_generation_strategy",
    "after_trial_strategy", "source_trials", "reference_points", "x0",
)  # fmt: skip
"""Arguments that are Python objects, which a sweep file cannot hold."""

CROSSOVERS = (
    "BLXAlphaCrossover", "SBXCrossover", "SPXCrossover", "UNDXCrossover", "UniformCrossover", "VSBXCrossover",
)  # fmt: skip
MUTATIONS = ("PolynomialMutation",)
INDEPENDENT = ("RandomSampler", "TPESampler", "QMCSampler")

CLASSES: Mapping[str, Sequence[str]] = {
    "crossover": CROSSOVERS,
    "mutation": MUTATIONS,
    "independent_sampler": INDEPENDENT,
}
"""Arguments that are objects of Optuna's classes, and which."""


def made_arguments(
    kind: str, known: Sequence[str], given: Mapping[str, Any], *, seed: int, space: Space
) -> dict[str, Any]:
    """Return the arguments of a sampler's constructor.

    Args:
        kind: class of the sampler.
        known: names of its arguments.
        given: what the sweep says.
        seed: seed of samplers within the sampler.
        space: knows where it says so.

    Raises:
        SpecError: an argument that the sampler has not, or that a sweep cannot hold.
    """
    made, issues = {}, []
    usable = tuple(name for name in known if name not in PYTHON_ONLY)
    for key, value in given.items():
        path = f"search.options.{key}"
        place = space.place_of(path)
        if key not in usable:
            what = f"the key {quoted(key)}"
            if key in known:
                issues.append(Issue(place, path, f"{what} takes a Python object, which a sweep cannot hold"))
            else:
                must_be = f"an argument of Optuna's {kind} ({one_of(usable)})"
                issues.append(Issue(place, path, what, must_be, suggest(key, usable)))
            continue
        try:
            made[key] = _object(key, value, seed) if key in CLASSES else value
        except _Wrong as wrong:
            issues.append(Issue(place, path, *wrong.parts))
    if issues:
        raise SpecError(issues)
    return made


class _Wrong(Exception):
    """What is wrong with the value of an argument: what it is, what it must be, what was perhaps meant."""

    def __init__(self, what: str, must_be: str = "", perhaps: str = "") -> None:
        self.parts = what, must_be, perhaps


def _object(key: str, value: object, seed: int) -> object:
    """Return the object that a class and its arguments stand for."""
    names = tuple(CLASSES[key])
    name: object = value
    arguments: object = {}
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, arguments),) = value.items()
    if not isinstance(name, str) or name not in names:
        whole = {one.removesuffix("Crossover").removesuffix("Mutation"): one for one in names}
        perhaps = suggest(str(name), names, whole)
        raise _Wrong(quoted(value), f"{one_of(names)}, or one of them with its arguments", perhaps)
    maker = _class(key, name)
    known = tuple(name for name in inspect.signature(maker).parameters if name not in PYTHON_ONLY)
    if not isinstance(arguments, Mapping):
        raise _Wrong(quoted(arguments), f"a mapping of arguments of {name} ({one_of(known)})")
    for unknown in [one for one in arguments if one not in known]:
        raise _Wrong(f"the key {quoted(unknown)}", f"an argument of {name} ({one_of(known)})", suggest(unknown, known))
    try:
        with quiet():
            seeded = {"seed": seed} if "seed" in known and "seed" not in arguments else {}
            return maker(**seeded, **arguments)
    except (TypeError, ValueError) as error:
        raise _Wrong(f"Optuna's {name} refuses its arguments: {error}") from None


def _class(key: str, name: str) -> Callable[..., object]:
    import optuna

    room: Any = optuna.samplers if key == "independent_sampler" else optuna.samplers.nsgaii
    maker: Callable[..., object] = getattr(room, name)
    return maker

"""Ways to choose designs, all behind `ask` and `tell`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import ValidationError

from dse.errors import Issue, SpecError
from dse.samplers.base import MAX_DESIGNS, Feedback, Sampler
from dse.space import Space
from dse.sweep import Spec
from dse.sweep.hints import SAMPLER_ALIASES, one_of, quoted, suggest
from dse.sweep.issues import issues_of
from dse.sweep.search import (
    OPTUNA_PREFIX,
    SAMPLERS,
    EvolveOptions,
    GridOptions,
    OptunaOptions,
    SamplerOptions,
    SearchSpec,
    stages_of,
)
from dse.yaml_positions import KeyPath, node_of

if TYPE_CHECKING:
    from dse.samplers.optuna.study import Direction, StudyConfig

__all__ = ["Feedback", "Sampler", "make_sampler", "sampler_of"]

O = TypeVar("O", bound=SamplerOptions)  # noqa: E741 (a type variable)


def make_sampler(
    name: str,
    space: Space,
    *,
    n_designs: int | None,
    seed: int,
    n_objectives: int,
    options: Mapping[str, Any] | None = None,
    place: StudyConfig | None = None,
) -> Sampler:
    """Return a sampler.

    Args:
        name: one of `dse.sweep.search.SAMPLERS`, ``optuna:Class``, or several joined by ``+``.
        space: the space; one with nothing to vary is enumerated, whatever the sampler.
        n_designs: designs to propose; `grid` does without.
        seed: seed of everything random.
        n_objectives: number of objectives.
        options: the sampler's options; for a chain ``shares`` and the options of each stage under its name.
        place: a study in a storage; for one of Optuna's samplers alone.

    Raises:
        SpecError: no such sampler or option, or the sampler cannot search this space.
        MissingPackageError: the sampler needs a package that is not installed.
    """
    options = dict(options or {})
    if not space.dimensions:
        return _grid(space, None)
    stages = stages_of(name)
    if len(stages) == 1:
        return _one(name, space, n_designs, seed, n_objectives, options, ("search", "options"), place)
    from dse.samplers.chain import Chain

    budgets = stage_budgets(stages, _budget(name, space, n_designs), options)
    made: list[Sampler] = []
    for number, (stage, count) in enumerate(zip(stages, budgets, strict=True)):
        path: KeyPath = ("search", "options", stage)
        if stage == "grid" and dict(options.get(stage, {})).get("prune"):
            where = "search.options.grid.prune"
            raise SpecError([Issue(space.place_of(where), where, "the later stages must be told of every design")])
        made.append(_one(stage, space, count, seed + number, n_objectives, dict(options.get(stage, {})), path))
    return Chain(space, made, n_objectives=n_objectives)


def stage_budgets(stages: Sequence[str], n_designs: int, options: Mapping[str, Any]) -> list[int]:
    """Return how many designs each stage of a search is told to propose."""
    from dse.samplers.chain import default_fractions

    if len(stages) == 1:
        return [n_designs]
    shares = options.get("shares") or default_fractions(len(stages), n_designs)
    return [max(1, round(share * n_designs)) for share in shares]


def planned_designs(search: SearchSpec, space: Space) -> int:
    """Return how many designs a search evaluates: Sobol points come in powers of two, so that a budget is raised."""
    from dse.samplers.sobol import sobol_count

    if search.n_designs is None or search.sampler == "grid":
        return space.grid_size
    budgets = zip(search.stages, stage_budgets(search.stages, search.n_designs, search.options), strict=True)
    return sum(sobol_count(count) if stage == "sobol" else count for stage, count in budgets)


def sampler_of(spec: Spec, space: Space) -> Sampler:
    """Return the sampler that a sweep asks for (see `make_sampler` for what is raised)."""
    search = spec.search
    return make_sampler(
        search.sampler,
        space,
        n_designs=search.n_designs,
        seed=search.seed,
        n_objectives=len(spec.objectives),
        options=search.options,
        place=study_place(spec),
    )


def study_place(spec: Spec) -> StudyConfig | None:
    """Return the study that a sweep asks for in a storage, None where it asks for none."""
    search = spec.search
    if search.storage is None:
        return None
    return study_place_of(spec, search.storage, name=search.study or spec.name, join=bool(search.join))


def study_place_of(spec: Spec, url: str, *, name: str, join: bool = False) -> StudyConfig:
    """Return a study of a sweep in a storage (see `StudyConfig` for the arguments)."""
    from dse.samplers.optuna.study import StudyConfig

    return StudyConfig(
        url=url,
        name=name,
        join=join,
        sweep=spec.name,
        question=spec.question,
        metrics=tuple(objective.metric for objective in spec.objectives),
        directions=tuple(cast("Direction", objective.direction) for objective in spec.objectives),
    )


def _one(
    name: str,
    space: Space,
    n_designs: int | None,
    seed: int,
    n_objectives: int,
    options: dict[str, Any],
    path: KeyPath,
    place: StudyConfig | None = None,
) -> Sampler:
    """Return a sampler that is not a chain."""
    from dse.samplers.sobol import RandomSampler, SobolSampler

    if name == "grid":
        grid = _read(GridOptions, options, space, path)
        return _grid(space, n_designs, prune=grid.prune)
    budget = _budget(name, space, n_designs)
    if name in ("sobol", "random"):
        _read(SamplerOptions, options, space, path)
        return {"sobol": SobolSampler, "random": RandomSampler}[name](space, n_designs=budget, seed=seed)
    if name == "evolve":
        from dse.samplers.evolve.sampler import EvolveSampler

        evolve = _read(EvolveOptions, options, space, path)
        return EvolveSampler(space, n_designs=budget, seed=seed, n_objectives=n_objectives, options=evolve)
    if name not in SAMPLERS and not name.startswith(OPTUNA_PREFIX):
        where = "search.sampler"
        perhaps = suggest(name, SAMPLERS, SAMPLER_ALIASES)
        raise SpecError([Issue(space.place_of(where), where, quoted(name), one_of(SAMPLERS), perhaps)])
    from dse.samplers.optuna.sampler import OptunaSampler

    given = _read(OptunaOptions, options, space, path)
    return OptunaSampler(
        name, space, n_designs=budget, seed=seed, n_objectives=n_objectives, options=given, place=place
    )


def _grid(space: Space, n_designs: int | None, *, prune: bool = False) -> Sampler:
    from dse.samplers.grid import GridSampler

    return GridSampler(space, n_designs=n_designs, prune=prune)


def _budget(name: str, space: Space, n_designs: int | None) -> int:
    if n_designs is None or n_designs < 1:
        path = "search.n_designs"
        what = f"{name} needs n_designs, the number of designs to evaluate"
        raise SpecError([Issue(space.place_of(path), path, what)])
    if n_designs > MAX_DESIGNS:
        what = f"{n_designs:,} designs are more than the {MAX_DESIGNS:,} that are begun"
        raise SpecError([Issue(space.place_of("search.n_designs"), "search.n_designs", what)])
    return n_designs


def _read(kind: type[O], options: dict[str, Any], space: Space, path: KeyPath) -> O:
    """Return checked options, with the issues at their place in the sweep."""
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        root: Any = options
        for key in reversed(path):
            root = {key: root}
        issues = issues_of(error, node_of(root), path, kind, {})
        raise SpecError(replace(issue, place=space.place_of(issue.path)) for issue in issues) from None

"""How a sweep is searched: sampler, budget, seed, and what each sampler can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from dse.sweep.fields import Flag, Identifier, Seed, Whole, issue, number, word_of
from dse.sweep.hints import SAMPLER_ALIASES, one_of, quoted, suggest
from dse.sweep.storage_url import check_storage_url

OPTUNA_SAMPLERS: Mapping[str, str] = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "random_optuna": "RandomSampler",
    "cmaes": "CmaEsSampler",
}
"""Our short name to the class in ``optuna.samplers``."""

OPTUNA_PREFIX = "optuna:"
"""Before the class name of a sampler of Optuna, as in ``optuna:TPESampler``."""

OWN_INSTEAD: Mapping[str, str] = {
    "optuna:GridSampler": "grid",
    "optuna:BruteForceSampler": "grid",
    "optuna:PartialFixedSampler": "a bare value in space, which fixes a parameter",
}
"""What a sweep says in place of some of Optuna's samplers."""

OWN_SAMPLERS = ("grid", "sobol", "random", "evolve")
SAMPLERS = (*OWN_SAMPLERS, *OPTUNA_SAMPLERS)
"""Every sampler that a sweep may name; ``+`` chains them."""

LEARNING = ("evolve", *OPTUNA_SAMPLERS)
"""Samplers that take up what an earlier stage of a chain has found."""

ALGORITHMS = ("nsga2", "nsga3")
"""Algorithms of `evolve`: NSGA-II in arrays, and pymoo's NSGA-III."""


class SamplerOptions(BaseModel):
    """Options of a sampler that takes none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GridOptions(SamplerOptions):
    """Options of `grid`.

    Attributes:
        prune: leave out of the evaluation what breaks a constraint that depends on few parameters. Front, feasible
            designs and every kept design are those of the whole grid; of what is left out only the constraints that
            were looked at are counted.
    """

    prune: Flag = False


class EvolveOptions(SamplerOptions):
    """Options of `evolve`.

    Attributes:
        algorithm: the algorithm; ``nsga3`` takes about ten times as long.
        population: designs of one generation; chosen from the budget where not given.
        crossover_probability: probability that a pair of parents is crossed.
        crossover_eta: distribution index of the simulated binary crossover; larger keeps children nearer.
        mutation_eta: distribution index of the polynomial mutation.
        mutation_probability: probability per coordinate; one over their number where not given.
    """

    algorithm: Annotated[str, word_of(ALGORITHMS)] = "nsga2"
    population: Annotated[int, number(low=4, high=100_000, whole=True)] | None = None
    crossover_probability: Annotated[float, number(low=0, high=1)] = 0.9
    crossover_eta: Annotated[float, number(low=0, open_low=True)] = 15.0
    mutation_eta: Annotated[float, number(low=0, open_low=True)] = 20.0
    mutation_probability: Annotated[float, number(low=0, high=1)] | None = None


class OptunaOptions(SamplerOptions):
    """Options of Optuna's samplers; any other key is an argument of the sampler's constructor.

    Attributes:
        batch: designs that are asked for before the first of them is told; the sampler's own where not given.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    batch: Whole | None = None


def options_kind(sampler: str) -> type[SamplerOptions]:
    """Return the record of the options of one sampler (not a chain)."""
    if sampler in ("grid", "evolve"):
        return GridOptions if sampler == "grid" else EvolveOptions
    return SamplerOptions if sampler in OWN_SAMPLERS else OptunaOptions


def is_optuna(sampler: str) -> bool:
    """Return whether a name stands for one of Optuna's samplers alone, not for a chain."""
    return sampler in OPTUNA_SAMPLERS or (sampler.startswith(OPTUNA_PREFIX) and "+" not in sampler)


def stages_of(sampler: str) -> tuple[str, ...]:
    """Return the samplers that a name chains, one for a plain name."""
    return tuple(part.strip() for part in sampler.split("+"))


def _sampler(value: object) -> str:
    if not isinstance(value, str):
        raise issue(quoted(value), one_of(SAMPLERS))
    stages = stages_of(value)
    for index, stage in enumerate(stages):
        if stage.startswith(OPTUNA_PREFIX):
            classes = tuple(OPTUNA_PREFIX + name for name in OPTUNA_SAMPLERS.values())
            if stage not in classes:
                raise issue(quoted(stage), one_of(classes), suggest(stage, classes, OWN_INSTEAD))
        elif stage not in SAMPLERS:
            must_be = f"{one_of(SAMPLERS)}, nor such a chain as sobol+evolve"
            raise issue(quoted(stage), must_be, suggest(stage, SAMPLERS, SAMPLER_ALIASES))
        if index and stage not in LEARNING and not stage.startswith(OPTUNA_PREFIX):
            raise issue(f"{quoted(stage)} takes nothing over from {stages[0]}: it can only be the first of a chain")
        if stage in stages[:index]:
            raise issue(f"{quoted(stage)} stands twice in the chain")
    return "+".join(stages)


def _fractions(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, list | tuple) or not all(
        isinstance(share, int | float) and not isinstance(share, bool) and share > 0 for share in value
    ):
        raise issue(quoted(value), "a list of one positive share of n_designs per stage", "[0.95, 0.05]")
    if abs(sum(value) - 1) > 1e-6:
        raise issue(f"the sum of the shares, {sum(value):.7g},", "1")
    return tuple(value)


class ChainOptions(SamplerOptions):
    """Options of a chain: the options of a stage stand under its name.

    Attributes:
        shares: share of the budget of each stage; where not given the last stages get 5 %, at least 50 000 designs
            or half of the budget, whichever is less.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    shares: Annotated[tuple[float, ...], BeforeValidator(_fractions)] | None = None


StorageUrl: TypeAlias = Annotated[str, BeforeValidator(check_storage_url)]
SamplerName: TypeAlias = Annotated[str, BeforeValidator(_sampler)]


class SearchSpec(BaseModel):
    """How the space is searched.

    Attributes:
        sampler: name of a sampler, or several joined by ``+``.
        n_designs: designs to evaluate; `grid` does without and evaluates all.
        seed: seed of everything random.
        batch_size: designs evaluated at once; has no influence on the results.
        options: what the sampler is told beyond that.
        storage: where a sampler of Optuna's keeps its study: `journal:FILE` (or a path ending in `.log`),
            `sqlite:///FILE`, `postgresql+psycopg://USER@HOST/DATABASE`, or `env:NAME` for the address in an environment
            variable; in memory where not given. An address must not hold a password.
        study: name of the study in the storage; that of the sweep where not given.
        join: whether other processes may work on the same study; each adds its own `n_designs`, and what is proposed
            depends on who came first, so that such a run cannot be repeated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: SamplerName
    n_designs: Whole | None = None
    seed: Seed = 0
    batch_size: Whole = 65_536
    options: Mapping[str, Any] = Field(default_factory=dict)
    storage: StorageUrl | None = None
    study: Identifier | None = None
    join: Flag | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """The samplers in their order; one unless they are chained."""
        return stages_of(self.sampler)

    @field_validator("options", mode="before")
    @classmethod
    def _is_mapping(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise issue(quoted(value), "a mapping of options")
        return value

    @model_validator(mode="after")
    def _has_budget(self) -> SearchSpec:
        if self.n_designs is None and self.sampler != "grid":
            raise issue("n_designs is missing; only the sampler grid can do without")
        if self.storage is None and (self.study is not None or self.join):
            raise issue(
                f"{'join' if self.join else 'study'} goes with a storage", perhaps="storage: sqlite:///study.db"
            )
        if self.storage is not None and not is_optuna(self.sampler):
            what = f"a storage goes with one of Optuna's samplers, not with {self.sampler}"
            raise issue(what, perhaps="dse export, which writes any finished run to a study")
        shares = self.options.get("shares")
        if len(self.stages) > 1 and isinstance(shares, list | tuple) and len(shares) != len(self.stages):
            raise issue(f"options.shares has {len(shares)} entries for {len(self.stages)} stages")
        return self

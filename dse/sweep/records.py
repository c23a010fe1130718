"""What all parts of a sweep are: frozen, complete, every name and number checked; and its short sections."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from cost_models.library import Library
from cost_models.silicon.cost import PRICE_YEARS, Economics, YieldModel
from dse.sweep.fields import Seed, Share, Whole, issue, number, word_of
from dse.sweep.hints import quoted
from dse.sweep.parameters import Amount


class SweepRecord(BaseModel):
    """A frozen part of a sweep that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class EconomicsSpec(SweepRecord):
    """Business terms; the library's typical parameters where not given."""

    units: Annotated[float, number(low=0, open_low=True)] | None = None
    margin: Annotated[float, number(low=0, high=0.99)] | None = None
    nre_share: Annotated[float, number(low=0, high=1)] | None = None
    krw_per_usd: Annotated[float, number(low=0, open_low=True)] | None = None
    price_year: Annotated[float, number(low=PRICE_YEARS[0], high=PRICE_YEARS[-1])] | None = None
    yield_model: Annotated[str, word_of(get_args(YieldModel))] | None = None

    def resolved(self, library: Library) -> Economics:
        """Return the terms with the library's parameters filled in."""
        return Economics.of(library, **self.model_dump(exclude_none=True))


class ShareSpec(SweepRecord):
    """The share of one workload in the mix.

    Attributes:
        share: of the output tokens.
    """

    share: Share


class LibraryParameterSpec(SweepRecord):
    """A replacement for a parameter of the library, perhaps with the range that it is drawn from."""

    typ: Amount
    low: Amount | None = None
    high: Amount | None = None

    @model_validator(mode="after")
    def _in_order(self) -> LibraryParameterSpec:
        if self.low is not None and self.low > self.typ:
            raise issue(f"low {quoted(self.low)}", f"at most typ {quoted(self.typ)}")
        if self.high is not None and self.high < self.typ:
            raise issue(f"high {quoted(self.high)}", f"at least typ {quoted(self.typ)}")
        return self


class ResultsSpec(SweepRecord):
    """What a run keeps.

    Attributes:
        keep_all_up_to: most designs of which every row is kept; beyond, only those that matter.
    """

    keep_all_up_to: Annotated[int, number(low=0, whole=True)] = 200_000


MAX_DRAWS = 100_000
"""Monte Carlo samples that a design can meet at once: each takes some 10 kB."""


class RobustnessSpec(SweepRecord):
    """Monte Carlo samples of the ranged parameters that the designs of a run meet after the search.

    Attributes:
        draws: number of Monte Carlo samples.
        seed: their seed.
        designs: most designs that meet them.
    """

    draws: Annotated[int, number(low=2, high=MAX_DRAWS, whole=True)] = 2000
    seed: Seed = 0
    designs: Whole = 1000

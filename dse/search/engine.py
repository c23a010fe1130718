"""The search itself: batch after batch of designs, kept on disk about once a second (`Parallelism.keep_every_s`).

Memory does not grow with the number of designs: only the front, the least infeasible designs, counts and a bounded
sample of the designs stay. What is found depends on the sweep alone, not on how the work was cut, spread or
interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np

from dse.errors import RunError
from dse.margins import check_baselines
from dse.packing import Data, Record, packed, read_packed
from dse.parallelism import Parallelism, Workers
from dse.replay import NOTED_ROWS
from dse.results.archive import Archive
from dse.results.outcome import Outcome, Progress, Status
from dse.results.picks import choose_picks
from dse.results.rows import Rows
from dse.samplers import sampler_of
from dse.samplers.base import Feedback, Sampler, SharingSampler
from dse.samplers.chain import Chain
from dse.search.blocks import PARTS, SearchContext, Stretch, Timer, block_keeper, chunks_of
from dse.search.journal import Journal
from dse.space import Space
from dse.sweep import Spec, spec_data

MODEL_FILE = "model.jsonl"
"""File of a journal that holds the answers of the sweep's own model."""


STATE = "search.state"
"""File of a run directory from which the search can be continued."""


NOTED_AHEAD = 1 << 17
"""Designs to come from which the model is noted before the first: it takes as long as replaying saves on so many."""


MAX_SECONDS = 1e12
"""Longest time that a search can have taken: 30,000 years."""


def _parts(record: Record) -> dict[str, float]:
    """Return the time spent by part."""
    parts = record.part("parts")
    return {name: parts.number(name, low=0, high=MAX_SECONDS) for name in PARTS}


@dataclass
class Unsaved:
    """What was found since the last writing.

    Attributes:
        first: its first design.
        keeper: what is kept of it.
        clock: the time that it took.
    """

    first: int
    keeper: Archive
    clock: Timer = field(default_factory=Timer)


class Search:
    """One search.

    Args:
        spec: the sweep.
        spread: where designs are evaluated, and in what pieces.
        journal: where the state is kept; nowhere where None. What it holds already is taken over.
        start: state to go on from, as `state` returned it; from nothing where None.

    Attributes:
        spread: where designs are evaluated, and in what pieces.

    Raises:
        SpecError: the sampler cannot search this space, or a constraint refers to what a baseline does not have.
        RunError: the state is not one of this search.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        spread: Parallelism | None = None,
        journal: Journal | None = None,
        start: bytes | None = None,
    ) -> None:
        self._spec, self.spread = spec, spread or Parallelism()
        self._journal: Journal | None = None
        self._work = SearchContext(spec, self.spread)
        self._clock, self._began, self._before = Timer(), time.perf_counter(), 0.0
        self._keeper, self._place, self._saved = self._work.keeper(), 0, self._began
        self._unsaved: Unsaved | None = None
        self.history: list[Progress] = []
        self._model = self._work.evaluator.model
        self._baselines = self._work.evaluator.baselines
        check_baselines(spec, self._baselines)
        if start is not None:
            self._resume(start)
        if journal is not None:
            self.keep_in(journal)

    def keep_in(self, journal: Journal) -> None:
        """Keep the state in a journal from now on, and take over what it holds already."""
        self._journal = journal
        if self._model is not None:
            self._model.keep_in(journal.folder / MODEL_FILE)
        if journal.is_empty:
            journal.set_start(self.state() if self._place else None)
        elif (start := journal.start) is not None:
            self._resume(start)
        self._replay(journal)

    def add(self, state: bytes) -> None:
        """Take over what another search of the same designs, however searched, has found."""
        result = read_packed(state, STATE)
        keeper = self._restored(result)
        unit = max(keeper.sample.stride, self._keeper.sample.stride, 1)
        offset = -(-self._place // unit) * unit
        self._keeper.merge(keeper, offset=offset)
        self._place = offset + result.whole("place")
        self._before += result.number("seconds", low=0, high=MAX_SECONDS)
        self._clock.add(_parts(result))
        self._restore_cache(result)

    def _restored(self, state: Record) -> Archive:
        """Return what a state says is kept of designs of this sweep."""
        keeper, library = self._work.keeper().restore(state.part("keeper")), self._work.evaluator.technology.library
        if not keeper.parameters_read <= library.parameters.keys():
            raise state.wrong("parameters_read", "parameters of the library")
        return keeper

    def _restore_cache(self, found: Record) -> None:
        """Take over the answers of the sweep's own model from a state."""
        if self._model is not None:
            self._model.memory.restore(found.part("answers"))

    # -- state ----------------------------------------------------------------------------------------------------

    def state(self) -> bytes:
        """Return everything needed to go on later, in another process: plain data (`dse.packing`)."""
        state: Data = {
            "spec": spec_data(self._spec),
            "keeper": self._keeper.state(),
            "place": self._place,
            "n_designs": self._spec.search.n_designs,
            "sampler": None if self._work.is_stream else self._work.sampler.state(),
            "seconds": self.history[-1].seconds if self.history else self._before,
            "parts": self._clock.parts,
            "answers": None if self._model is None else self._model.memory.state(),
        }
        return packed(state)

    def _resume(self, state: bytes) -> None:
        result = read_packed(state, STATE)
        self._keeper.merge(self._restored(result))
        self._place, self._before = result.whole("place"), result.number("seconds", low=0, high=MAX_SECONDS)
        self._clock.add(_parts(result))
        self._restore_cache(result)
        if self._work.is_stream:
            total = self._work.sampler.total
            if total is not None and total < self._place:
                raise RunError(f"{self._place} designs have been searched already; n_designs must be more")
            return
        state_of_sampler, n_designs = result.content("sampler"), result.whole("n_designs", low=1)
        self._work.sampler = extended(self._spec, self._work.space, n_designs, state_of_sampler)

    def _replay(self, journal: Journal) -> None:
        before = self._place
        for first, last, kept in journal.kept():
            if first < self._place:
                continue
            if first > self._place:
                raise RunError(f"{journal.folder}: designs {self._place} to {first} are missing")
            self._keeper.merge(self._restored(kept))
            self._clock.add(_parts(kept))
            self._place = last
        if self._place > before and not self._work.is_stream:
            self._work.sampler.restore(journal.sampler_at(self._place))

    @property
    def evaluated(self) -> int:
        """Designs that have been searched."""
        return self._place

    def connect(self) -> None:
        """See that the sweep's own model can be called, and open the study in a storage, where it asks for them.

        Raises:
            SpecError: there is no such function or program.
            RunError: the study cannot be used.
        """
        if self._model is not None:
            self._model.check()
        if isinstance(self._work.sampler, SharingSampler):
            self._work.sampler.connect()

    # -- search ---------------------------------------------------------------------------------------------------

    def steps(self) -> Generator[Progress, None, None]:
        """Search, and yield how it goes after every stretch that is kept."""
        self._began = self._saved = time.perf_counter()
        if isinstance(self._work.sampler, SharingSampler):
            self._work.sampler.connect()
        with self.spread.workers() as workers:
            if self._model is not None:
                # Its calls are what is spread: designs are judged here, where every answer is kept.
                self._model.map, workers = workers.map, Workers(1)
            yield from self._blocks(workers)
            if not self._work.is_stream:
                yield from self._turns()

    def _blocks(self, workers: Workers) -> Iterator[Progress]:
        """Search the designs that do not depend on what becomes of any, block by block."""
        total = 0 if self._work.stream is None else self._work.stream.total
        rows = self.spread.rows_per_block(total, workers.count) if self._model is None else self._model.rows_at_once
        spans = [(first, min(first + rows, total)) for first in range(self._place, total, rows)]
        if total - self._place >= NOTED_AHEAD:
            self._work.evaluator.note(self._work.space.scattered(NOTED_ROWS))
        elsewhere = partial(block_keeper, self._spec, self.spread)
        blocks = workers.map_with(elsewhere, spans, here=self._work.keep_block)
        for (first, last), block in zip(spans, blocks, strict=True):
            if block.seeds is not None:
                cast(Chain, self._work.sampler).skip(last, block.seeds)
            yield self._keep(first, last, block.keeper, block.parts, ends=last == self._work.sampler.total)

    def _turns(self) -> Iterator[Progress]:
        """Ask, evaluate and tell; what was found is kept, and the state with it, every now and then."""
        sampler, batch, size = self._work.sampler, self._spec.search.batch_size, self.spread.chunk_rows
        fresh, first = Stretch(self._work), self._place
        place = first
        while True:
            with fresh.clock.part("sample"):
                designs = sampler.ask(batch)
            for chunk in chunks_of(designs, size):
                with fresh.clock.part("evaluate"):
                    found = self._work.judge(chunk)
                rows = Rows(np.arange(place, place + chunk.rows, dtype=np.int64), chunk, found)
                fresh.add(rows)
                with fresh.clock.part("sample"):
                    sampler.tell(Feedback.of(rows.ids, found))
                place += len(rows)
            if place > first and (not designs or self._is_due):
                yield self._keep(first, place, fresh.keeper(), fresh.clock.parts, ends=not designs)
                fresh, first = Stretch(self._work), place
            if not designs:
                return

    def _keep(self, first: int, last: int, keeper: Archive, parts: Mapping[str, float], *, ends: bool) -> Progress:
        """Keep what was found in a stretch, on disk first where that is due, and return how it goes."""
        self._clock.add(parts)
        keeper.parameters_read |= self._work.evaluator.technology.reads
        if self._journal is not None:
            unsaved = self._unsaved = self._unsaved or Unsaved(first, self._work.keeper())
            unsaved.keeper.merge(keeper)
            unsaved.clock.add(parts)
        if ends or self._is_due:
            self._save(last)
        self._keeper.merge(keeper)
        self._place = last
        tally = self._keeper.tally
        self.history.append(
            Progress(
                evaluated=tally.evaluated,
                planned=self._work.sampler.total,
                feasible=tally.feasible,
                front=self._keeper.front_size,
                hypervolume=self._keeper.hypervolume(),
                seconds=round(self._seconds, 3),
            )
        )
        return self.history[-1]

    @property
    def _is_due(self) -> bool:
        """Whether what has been found is to be written by now; always where nothing is written."""
        return self._journal is None or time.perf_counter() - self._saved > self.spread.keep_every_s

    def _save(self, last: int) -> None:
        """Write what has been found since the last time, up to a design (exclusive)."""
        if self._journal is not None and (unsaved := self._unsaved) is not None:
            sampler = None if self._work.is_stream else self._work.sampler.state()
            self._journal.add(unsaved.first, last, unsaved.keeper, unsaved.clock.parts, sampler)
            self._unsaved, self._saved = None, time.perf_counter()
        if isinstance(self._work.sampler, SharingSampler):
            # Only now is it kept: a study never holds a design that the run could lose.
            self._work.sampler.publish()

    @property
    def _seconds(self) -> float:
        return self._before + time.perf_counter() - self._began

    # -- outcome --------------------------------------------------------------------------------------------------

    def outcome(self, status: Status) -> Outcome:
        """Return everything that was kept, with every metric."""
        keeper, spec, work = self._keeper, self._spec, self._work
        front = work.complete(keeper.front)
        misses, *best = work.complete_all([keeper.misses, *keeper.tops])
        tops = {o.metric: rows for o, rows in zip(spec.objectives, best, strict=True)}
        picks = choose_picks(
            front,
            misses,
            objectives=[objective.metric for objective in spec.objectives],
            targets=[constraint.label for constraint in spec.constraints],
        )
        return Outcome(
            status=status,
            planned=work.sampler.total,
            evaluated=keeper.tally.evaluated,
            decided=keeper.tally.decided,
            feasible=keeper.tally.feasible,
            front=front,
            misses=misses,
            sampled=lambda: work.complete(keeper.sample.rows()),
            sample_ids=keeper.sample.ids,
            stride=keeper.sample.stride,
            picks=tuple(picks),
            top={metric: rows for metric, rows in tops.items() if rows is not None},
            constraints=tuple(keeper.tally.constraints()),
            margins=tuple(keeper.tally.margins()),
            values=tuple(keeper.tally.values()),
            baselines=self._baselines,
            history=tuple(self.history),
            seconds={**self._clock.parts, "total": self._seconds},
            notes=work.describe(),
            parameters_read=keeper.parameters_read | work.evaluator.technology.reads,
        )


def extended(spec: Spec, space: Space, n_designs: int, state: bytes) -> Sampler:
    """Return a sampler that learns, gone on from a state of `n_designs` to the budget of the sweep.

    Raises:
        RunError: the budget is not larger, or the sampler cannot go beyond its own.
    """
    first = spec.search.model_copy(update={"n_designs": n_designs})
    sampler = sampler_of(spec.model_copy(update={"search": first}), space)
    sampler.restore(state)
    more = cast("int", spec.search.n_designs) - n_designs
    if more < 0:
        raise RunError(f"{n_designs} designs have been searched already; n_designs must be more")
    if more:
        sampler.extend(more)
    return sampler

"""A block of the designs of a sampler that does not learn, evaluated and reduced to what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

import numpy as np

from cost_models.table import Designs, Table
from dse.evaluator import Evaluation, Evaluator
from dse.parallelism import Parallelism
from dse.results.archive import Archive
from dse.results.rows import Rows, joined
from dse.samplers import sampler_of
from dse.samplers.base import Feedback, Sampler, StreamingSampler
from dse.samplers.chain import Chain, Seeds
from dse.samplers.grid import GridSampler
from dse.search.allocator import keep_freed_memory
from dse.search.pruning import Tables
from dse.space import Space
from dse.sweep import Spec
from dse.user_model.model import UserModel

PARTS = ("sample", "evaluate", "keep")
"""What time is spent on."""


@dataclass
class Timer:
    """Measures where the time goes, in seconds."""

    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.parts[name] += time.perf_counter() - start

    def add(self, parts: Mapping[str, float]) -> None:
        """Add what another clock has measured."""
        for name, seconds in parts.items():
            self.parts[name] += seconds


@dataclass(frozen=True, eq=False)
class Block:
    """What is left of the designs of a block.

    Attributes:
        keeper: what the run keeps of them.
        parts: the time they took, by part.
        seeds: what the next stage of a chain would start from; None where there is no other stage.
    """

    keeper: Archive
    parts: dict[str, float]
    seeds: Seeds | None = None


class SearchContext:
    """Everything that the designs of one sweep are evaluated and kept with.

    Args:
        spec: the sweep.
        spread: the pieces that the work is done in.
    """

    def __init__(self, spec: Spec, spread: Parallelism | None = None) -> None:
        keep_freed_memory()
        self.spec, self.space, self.evaluator = spec, Space(spec), Evaluator(spec, model=model_of(spec))
        self.spread = spread or Parallelism()
        self.sampler: Sampler = sampler_of(spec, self.space)

    @property
    def stream(self) -> StreamingSampler | None:
        """The sampler of the first designs where these do not depend on what becomes of any, None where they do."""
        first = self.sampler.first if isinstance(self.sampler, Chain) else self.sampler
        return first if isinstance(first, StreamingSampler) else None

    @property
    def is_stream(self) -> bool:
        """Whether no design depends on what becomes of any."""
        return self.stream is self.sampler

    def keeper(self) -> Archive:
        """Return an empty keeper."""
        spec = self.spec
        # At least so many designs will come.
        total = 0 if self.stream is None else self.stream.total
        sample = spec.results.keep_all_up_to
        return Archive(self.space, len(spec.objectives), sample=sample, constraints=spec.constraints, total=total)

    def judge(self, designs: Designs) -> Evaluation:
        """Return what designs are judged by, and nothing else."""
        return self.evaluator.evaluate(designs, metrics=())

    def complete(self, rows: Rows | None) -> Rows | None:
        """Return rows with every metric."""
        if rows is None:
            return None
        size = self.spread.chunk_rows
        parts = [np.arange(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
        return joined([self._completed(rows.take(part)) for part in parts])

    def complete_all(self, tables: Sequence[Rows | None]) -> list[Rows | None]:
        """Return several tables with every metric: as `complete` does each, but all of them at once."""
        there = [rows for rows in tables if rows is not None]
        if not there:
            return list(tables)
        whole = cast("Rows", self.complete(joined(there))).evaluation.metrics
        result: list[Rows | None] = []
        end = 0
        for rows in tables:
            if rows is None:
                result.append(None)
                continue
            start, end = end, end + len(rows)
            metrics = {name: value[start:end] for name, value in whole.items()}
            result.append(Rows(rows.ids, rows.designs, replace(rows.evaluation, metrics=metrics)))
        return result

    def _completed(self, part: Rows) -> Rows:
        metrics = self.evaluator.evaluate(part.designs).metrics
        return Rows(part.ids, part.designs, replace(part.evaluation, metrics=metrics))

    @cached_property
    def tables(self) -> Tables | None:
        """The conditions that decide designs without evaluation; None where the sweep does not ask for it.

        A run that keeps every design evaluates every design.
        """
        prunes = isinstance(self.sampler, GridSampler) and self.sampler.prune
        keeper = self.keeper()
        if not prunes or keeper.sample.stride == 1:
            return None
        return Tables(self.space, self.evaluator, keeper.tally, self.spread)

    def describe(self) -> tuple[str, ...]:
        """Return what a person should know of the search."""
        notes = self.sampler.describe()
        if self.tables is not None:
            return (*notes, *self.tables.describe())
        if isinstance(self.sampler, GridSampler) and self.sampler.prune:
            return (*notes, "prune: every design is kept, so every design was evaluated")
        return notes

    def keep_block(self, start: int, stop: int) -> Block:
        """Return what is kept of designs `start` to `stop` (exclusive) of the sequence of `stream`."""
        assert self.stream is not None
        clock, keeper = Timer(), self.keeper()
        seeds = self.sampler.seeds() if isinstance(self.sampler, Chain) else None
        if self.tables:
            self._keep_pruned(self.tables, start, stop, keeper, clock)
            keeper.parameters_read = self.evaluator.technology.reads
            return Block(keeper, clock.parts)
        size = self.spread.rows_per_piece(self.stream.total) if self.spec.model is None else stop - start
        for first in range(start, stop, size):
            last = min(first + size, stop)
            with clock.part("sample"):
                designs = self.stream.rows(first, last)
            with clock.part("evaluate"):
                result = self.judge(designs)
            rows = Rows(np.arange(first, last, dtype=np.int64), designs, result)
            with clock.part("keep"):
                keeper.add(rows)
            if seeds is not None:
                with clock.part("sample"):
                    judged = Feedback(rows.ids, result.objectives, rows.violation[:, None], result.feasible)
                    seeds.add(designs, judged)
        keeper.parameters_read = self.evaluator.technology.reads
        return Block(keeper, clock.parts, seeds)

    def _keep_pruned(self, tables: Tables, start: int, stop: int, keeper: Archive, clock: Timer) -> None:
        """Keep a block of a grid, of which only what the tables leave open is evaluated."""
        keeper.tally.begin(tables.first)
        waiting, size = np.empty(0, dtype=np.int64), self.spread.chunk_rows
        for first in range(start, stop, size):
            last = min(first + size, stop)
            with clock.part("sample"):
                ids, decided = tables.split(first, last, keeper.sample.stride)
            with clock.part("keep"):
                keeper.tally.add_decided(decided)
            waiting = np.concatenate([waiting, ids])
            while len(waiting) >= size or (last == stop and len(waiting)):
                ids, waiting = waiting[:size], waiting[size:]
                with clock.part("sample"):
                    designs = self.space.grid_at(self.space.grid_places(ids))
                with clock.part("evaluate"):
                    result = self.judge(designs)
                    tables.check(ids, result)
                with clock.part("keep"):
                    keeper.add(Rows(ids, designs, result))


class Stretch:
    """What is kept of designs that come a few at a time; many are kept as quickly as few.

    Args:
        work: the work.

    Attributes:
        clock: where the time goes.
    """

    def __init__(self, work: SearchContext) -> None:
        self._keeper, self._most, self._held = work.keeper(), work.spread.chunk_rows, list[Rows]()
        self.clock = Timer()

    def add(self, rows: Rows) -> None:
        """Take the next rows."""
        self._held.append(rows)
        if sum(map(len, self._held)) >= self._most:
            self._keep()

    def _keep(self) -> None:
        if self._held:
            with self.clock.part("keep"):
                self._keeper.add(joined(self._held))
        self._held = []

    def keeper(self) -> Archive:
        """Return what is kept of all rows."""
        self._keep()
        return self._keeper


def model_of(spec: Spec) -> UserModel | None:
    """Return the sweep's own model, None where it has none."""
    return None if spec.model is None else UserModel(spec)


def chunks_of(designs: Table, rows: int) -> list[Table]:
    """Return a table cut into chunks of so many rows."""
    return [designs.take(slice(first, first + rows)) for first in range(0, designs.rows, rows)]


def block_keeper(spec: Spec, spread: Parallelism) -> Callable[[int, int], Block]:
    """Return what keeps the blocks of a sweep, in a process that has made nothing of it yet."""
    return SearchContext(spec, spread).keep_block

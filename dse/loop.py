"""The loop of a run: ask, evaluate, keep what matters, tell; and the run directory it leaves.

Memory does not grow with the number of designs: rows are evaluated in chunks that fit the cache, and only the front,
the nearest misses and a bounded sample of them stay.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import numpy as np

from cost_models.columns import Designs, row_count, select
from dse.errors import Fault, SpecError
from dse.evaluate import Evaluation, Evaluator
from dse.results.archive import write_outcome
from dse.results.keeper import Keeper
from dse.results.outcome import Outcome, Progress, Status
from dse.results.picks import choose_picks
from dse.results.provenance import (
    library_hash,
    package_versions,
    python_version,
    resolved_text,
    source_commit,
    text_hash,
)
from dse.results.rows import Rows
from dse.results.store import RESULTS, SCHEMA, StoredRun, check_place, open_run, place_for_run, write_whole
from dse.samplers import sampler_of
from dse.samplers.base import Judged
from dse.space import Space
from dse.spec import Spec

CHUNK_ROWS = 16_384
"""Rows evaluated in one call: their columns stay in the cache."""

ProgressSink = Callable[[Progress], None]
"""What is told how a run goes, after every chunk."""


def run(
    spec: Spec, *, out: Path | str | None = None, results: Path | str = RESULTS, progress: ProgressSink | None = None
) -> StoredRun:
    """Search the space of a sweep and write what was found.

    Ctrl-C ends the search, not the run: everything evaluated so far is written, with the status "interrupted".

    Args:
        spec: the sweep.
        out: the run directory to make; ``<results>/<name>/<UTC time>-<hash>`` where None.
        results: where run directories are made that have no place of their own.
        progress: told how it goes after every chunk.

    Returns:
        The run as it lies on disk; its tables are pandas frames.

    Raises:
        RunError: the run directory exists already or cannot be written.
        SpecError: the sampler cannot search this space.
    """
    started = datetime.now(UTC)
    hashes = {"spec_sha256": spec.hash, "library_sha256": library_hash()}
    directory = place_for_run(spec.name, text_hash(*hashes.values()), started=started, results=Path(results))
    directory = directory if out is None else Path(out)
    check_place(directory)
    with _interruptible() as stopped:
        outcome = explore(spec, progress=progress, stopped=stopped)
        manifest = {
            "schema": SCHEMA,
            "name": spec.name,
            "started": started.isoformat(),
            "sampler": spec.search.sampler,
            "seed": spec.search.seed,
            "notes": list(outcome.notes),
            **hashes,
            "commit": source_commit(),
            "python": python_version(),
            "packages": package_versions(),
        }
        resolved = resolved_text(spec, outcome.figures_read)
        write_whole(
            directory,
            lambda folder: write_outcome(
                folder,
                outcome,
                sweep=spec.source_text or resolved,
                resolved=resolved,
                manifest={**manifest, "finished": datetime.now(UTC).isoformat()},
                baselines=spec.baselines,
            ),
        )
    return open_run(directory)


def explore(
    spec: Spec, *, progress: ProgressSink | None = None, stopped: Callable[[], bool] = lambda: False
) -> Outcome:
    """Search the space of a sweep and return what was found; nothing is written.

    Args:
        spec: the sweep.
        progress: told how it goes after every chunk.
        stopped: asked after every chunk whether to end here.

    Raises:
        SpecError: the sampler cannot search this space.
    """
    loop = _Loop(spec)
    status: Status = "complete"
    try:
        for _ in loop.chunks():
            if progress is not None:
                progress(loop.history[-1])
            if stopped():
                status = "interrupted"
                break
    except KeyboardInterrupt:
        status = "interrupted"
    return loop.outcome(status)


def check_baselines(spec: Spec, baselines: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse constraints relative to something that a baseline does not have: no design could meet them.

    Raises:
        SpecError: every such constraint.
    """
    faults = [
        Fault(
            spec.place_of(f"constraints[{index}].relative_to"),
            f"constraints[{index}].relative_to",
            f"{constraint.relative_to} has no {constraint.metric}: the workload does not fit it, or none is published",
        )
        for index, constraint in enumerate(spec.constraints)
        if constraint.relative_to and math.isnan(baselines[constraint.relative_to][constraint.metric])
    ]
    if faults:
        raise SpecError(faults)


class _Loop:
    """One search, chunk by chunk."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._space, self._evaluator = Space(spec), Evaluator(spec)
        self._sampler = sampler_of(spec, self._space)
        self._keeper = Keeper(
            self._space,
            len(spec.objectives),
            sample=spec.results.keep_all_up_to,
            constraints=spec.constraints,
        )
        self._clock = _Clock()
        self._baselines = self._evaluator.baselines
        check_baselines(spec, self._baselines)
        self.history: list[Progress] = []

    def chunks(self) -> Iterator[None]:
        """Search, and yield after every chunk that is kept."""
        asked = 0
        while designs := self._ask():
            for start in range(0, row_count(designs), CHUNK_ROWS):
                chunk = select(designs, slice(start, start + CHUNK_ROWS))
                ids = np.arange(asked, asked + row_count(chunk), dtype=np.int64)
                asked += len(ids)
                self._take(Rows(ids, chunk, self._evaluate(chunk)))
                yield

    def _ask(self) -> Designs:
        with self._clock.part("sample"):
            return self._sampler.ask(self._spec.search.batch_size)

    def _evaluate(self, designs: Designs) -> Evaluation:
        with self._clock.part("evaluate"):
            return self._evaluator.evaluate(designs)

    def _take(self, rows: Rows) -> None:
        with self._clock.part("keep"):
            self._keeper.add(rows)
            self.history.append(self._progress())
        with self._clock.part("sample"):
            found = rows.evaluation
            self._sampler.tell(Judged(rows.ids, found.objectives, found.violations, found.feasible))

    def _progress(self) -> Progress:
        tally = self._keeper.tally
        return Progress(
            evaluated=tally.evaluated,
            planned=self._sampler.total,
            feasible=tally.feasible,
            front=self._keeper.front_size,
            hypervolume=self._keeper.hypervolume(),
            seconds=round(self._clock.total, 3),
        )

    def outcome(self, status: Status) -> Outcome:
        """Return everything that was kept."""
        keeper, spec = self._keeper, self._spec
        front, misses = keeper.front, keeper.misses
        picks = choose_picks(
            front,
            misses,
            objectives=[objective.metric for objective in spec.objectives],
            targets=[constraint.label for constraint in spec.constraints],
        )
        return Outcome(
            status=status,
            planned=self._sampler.total,
            evaluated=keeper.tally.evaluated,
            feasible=keeper.tally.feasible,
            front=front,
            misses=misses,
            sample=keeper.sample.rows(),
            stride=keeper.sample.stride,
            picks=tuple(picks),
            constraints=tuple(keeper.tally.constraints()),
            values=tuple(keeper.tally.values()),
            baselines=self._baselines,
            history=tuple(self.history),
            seconds={**self._clock.parts, "total": self._clock.total},
            notes=self._sampler.describe(),
            figures_read=self._evaluator.technology.reads,
        )


class _Clock:
    """Measures where the time goes."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.parts = {"sample": 0.0, "evaluate": 0.0, "keep": 0.0}

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.parts[name] += time.perf_counter() - start


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C be asked for, so that it never falls into the middle of a chunk; raise the second."""
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():
        # Only the main thread receives signals, and only there can they be handled.
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)

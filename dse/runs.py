"""A run from the sweep to its directory: begun, gone on with after whatever ended it, continued, or merged."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from cost_models.errors import LibraryError
from cost_models.performance.derived import DerivedMetric
from dse.errors import RecordError, RunError
from dse.packing import read_packed
from dse.parallelism import Parallelism
from dse.results.directory import RESULTS, check_links, check_place, checked, place_for_run, seal, write_whole
from dse.results.manifest import SCHEMA, again, written_by
from dse.results.outcome import Outcome, Progress, Status
from dse.results.provenance import (
    library_hash,
    package_versions,
    parameters_by_confidence,
    python_version,
    resolved_text,
    source_commit,
    text_hash,
)
from dse.results.store import StoredRun, open_run
from dse.results.writer import write_answer, write_rest
from dse.search.engine import STATE, Search
from dse.search.journal import Journal, find_unfinished, read_content, unfinished, write_atomically
from dse.sweep import Spec, spec_of
from dse.sweep.library_additions import library_of
from dse.uncertainty.files import drawn_facts, write_robust
from dse.uncertainty.post_search import under_draws
from dse.user_model.calls import model_hash

ProgressSink = Callable[[Progress], None]
"""What is told how a run goes, after every stretch that is kept."""

Answered = Callable[[StoredRun, Path], None]
"""What is shown the answer of a run as soon as it is known: before the sample of its designs is worked out and
everything is written. The run that it is shown lies in a directory for the time being, without that sample; where it
will lie is told beside it."""


def _unshown(run: StoredRun, directory: Path) -> None:
    """Do nothing with an answer."""


def run(
    spec: Spec,
    *,
    out: Path | str | None = None,
    results: Path | str = RESULTS,
    progress: ProgressSink | None = None,
    spread: Parallelism | None = None,
    answered: Answered = _unshown,
) -> StoredRun:
    """Search the space of a sweep and write what was found.

    Ctrl-C ends the search, not the run: everything evaluated so far is written, with the status "interrupted". What
    ends the process leaves ``<run directory>.unfinished``, with which `resume` goes on.

    Args:
        spec: the sweep.
        out: the run directory to make; ``<results>/<name>/<UTC time>-<hash>`` where None.
        results: where run directories are made that have no place of their own.
        progress: told how it goes after every batch of designs that is kept.
        spread: where designs are evaluated, and in what pieces; in this process where None.
        answered: shown the answer before everything is written.

    Returns:
        The run as it lies on disk; its tables are pandas frames.

    Raises:
        RunError: the run directory exists already or cannot be written.
        SpecError: the sampler cannot search this space.
    """
    header = _header(spec)
    directory = _place(spec, header, results) if out is None else Path(out)
    check_place(directory)
    search = Search(spec, spread=spread)
    _check(spread)
    search.connect()
    journal = Journal.begin(unfinished(directory), header, spec)
    search.keep_in(journal)
    return _finish(search, spec, directory, header, journal, progress, answered)


def resume(
    where: Path | str,
    *,
    n_designs: int | None = None,
    out: Path | str | None = None,
    results: Path | str = RESULTS,
    progress: ProgressSink | None = None,
    spread: Parallelism | None = None,
    metrics: Sequence[DerivedMetric] = (),
    call_model: bool = False,
    open_storage: bool = False,
    answered: Answered = _unshown,
) -> StoredRun:
    """Go on with a run: one whose process ended, one that was interrupted, or a finished one to a larger budget.

    The result of an unfinished run is that of one never disturbed. A larger budget gives what a run with it from the
    start would give for samplers that do not learn; one that learns goes on from where it stands, with the settings
    that suited its first budget.

    Args:
        where: ``<run directory>.unfinished``, the run directory it is to become, a finished run, or "latest".
        n_designs: the budget; that of the run where None.
        out: the directory of a continued run, which is a run of its own; as for `run` where None.
        results: where runs are looked for and made.
        progress: told how it goes.
        spread: where designs are evaluated, and in what pieces.
        metrics: the derived metrics that the sweep uses.
        call_model: agree that the program is started which the run's sweep names as its model, if it names one.
        open_storage: agree that the storage is opened in which the run's sweep keeps its study, if it names one.
        answered: as for `run`.

    Raises:
        RunError: there is nothing to go on with, the model may not be called or the storage not be opened, or sweep or
            library are not those of the run.
    """
    folder = find_unfinished(where, results=Path(results))
    if folder is not None:
        if n_designs is not None:
            raise RunError(f"{folder}: is unfinished; resume it first, then continue it to more designs")
        check_links(folder)
        journal = Journal(folder)
        with _records_of(folder):
            spec = journal.spec(metrics)
            _check_consent(folder, spec, call_model, open_storage)
            header = journal.header
            _check_same(folder, header, spec)
            _check(spread)
            directory = folder.with_suffix("")
            search = Search(spec, spread=spread, journal=journal)
            return _finish(search, spec, directory, header, journal, progress, answered)
    done = open_run(where, results=Path(results), metrics=metrics)
    if n_designs is None and done.manifest["status"] == "complete":
        raise RunError(f"{done.path}: is complete; to search on, say how far with --n-designs")
    spec, state = _state_of(done, call_model, open_storage)
    return _continue(
        done, spec, state, n_designs, out=out, results=results, progress=progress, spread=spread, answered=answered
    )


def _state_of(done: StoredRun, call_model: bool, open_storage: bool) -> tuple[Spec, bytes]:
    """Return the sweep and the state of the search of a finished run, both held against what it was run with."""
    with _records_of(done.path, f"; the run was {written_by(done.manifest)}; {again(done.path)}"):
        state = state_of(done)
        spec = _spec_of(done, state)
    _check_consent(done.path, spec, call_model, open_storage)
    _check_same(done.path, done.manifest, spec)
    return spec, state


def _continue(
    done: StoredRun,
    spec: Spec,
    state: bytes,
    n_designs: int | None,
    *,
    out: Path | str | None,
    results: Path | str,
    progress: ProgressSink | None,
    spread: Parallelism | None,
    answered: Answered,
) -> StoredRun:
    """Search on from a finished run, in a directory of its own."""
    if n_designs is not None:
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"n_designs": n_designs})})
    header = {**_header(spec), "continues": done.path.name}
    directory = _place(spec, header, results) if out is None else Path(out)
    check_place(directory)
    with _records_of(done.path):
        search = Search(spec, spread=spread, start=state)
        _check(spread)
        journal = Journal.begin(unfinished(directory), header, spec)
        search.keep_in(journal)
        return _finish(search, spec, directory, header, journal, progress, answered)


def merge(
    runs: Sequence[StoredRun],
    *,
    out: Path | str | None = None,
    results: Path | str = RESULTS,
    call_model: bool = False,
    answered: Answered = _unshown,
) -> StoredRun:
    """Write what several runs of one sweep have found together, as a run of its own.

    Args:
        runs: at least two; only how they were searched may differ.
        out: the directory to make; as for `run` where None.
        results: where run directories are made.
        call_model: as for `resume`; what the runs have no answer for, it is asked again.
        answered: as for `run`.

    Raises:
        RunError: they are runs of different sweeps or libraries, two of them hold the same designs, one of them has no
            state, or the model of their sweep may not be called.
    """
    # Nothing is written to the studies of the runs, so that their storages stay closed.
    first, states = runs[0], [_state_of(done, call_model, open_storage=True)[1] for done in runs]
    asked = [done.spec.resolved() for done in runs]
    questions = [{key: value for key, value in one.items() if key not in ("search", "name")} for one in asked]
    for done, question in zip(runs, questions, strict=True):
        if question != questions[0]:
            raise RunError(
                f"{done.path}: asks something else than {first.path}; see: dse diff {first.path} {done.path}"
            )
    # Searches that share a study divide its designs.
    drawn = [
        None if done.spec.search.storage is not None else {k: v for k, v in one["search"].items() if k != "n_designs"}
        for done, one in zip(runs, asked, strict=True)
    ]
    for index, done in enumerate(runs):
        earlier = next((k for k in range(index) if _of_same_designs(drawn[k], drawn[index])), None)
        if earlier is not None:
            raise RunError(f"{done.path}: holds designs of {runs[earlier].path} once more, which would count twice: "
                           "merge runs with other seeds or samplers")  # fmt: skip
    spec = _spec_of(first, states[0])
    search = Search(spec)
    for done, state in zip(runs, states, strict=True):
        with _records_of(done.path):
            search.add(state)
    header = {**_header(spec), "merges": [done.path.name for done in runs]}
    directory = _place(spec, header, results) if out is None else Path(out)
    check_place(directory)
    with _records_of(first.path):
        outcome = search.outcome("complete")
    _write(outcome, spec, directory, header, None, answered)
    return open_run(directory, metrics=spec.derived)


def _of_same_designs(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> bool:
    """Return whether two searches of one space (None in a shared study) draw the same designs, as far as both go."""
    if first is None or second is None:
        return False
    return first == second or first["sampler"] == second["sampler"] == "grid"


def explore(
    spec: Spec,
    *,
    progress: ProgressSink | None = None,
    stopped: Callable[[], bool] = lambda: False,
    spread: Parallelism | None = None,
) -> Outcome:
    """Search the space of a sweep and return what was found; nothing is written, and no Monte Carlo samples are met.

    Args:
        spec: the sweep.
        progress: told how it goes after every batch of designs.
        stopped: asked as often whether to end here.
        spread: where designs are evaluated, and in what pieces.

    Raises:
        SpecError: the sampler cannot search this space.
    """
    search = Search(spec, spread=spread)
    return search.outcome(_searched(search, progress, stopped))


@contextmanager
def _records_of(path: Path, remedy: str = "") -> Iterator[None]:
    """Name the run whose records are not what they must be, or are of entries that the library does not hold."""
    try:
        yield
    except (RecordError, LibraryError) as error:
        raise RunError(f"{error if str(path) in str(error) else f'{path}: {error}'}{remedy}") from None


def _check_consent(path: Path, spec: Spec, call_model: bool, open_storage: bool) -> None:
    """Refuse to reach out of a run directory because it says so: whoever made it may be a stranger."""
    asked = []
    if spec.model is not None and not call_model:
        folder = Path(spec.model.folder).resolve()
        asked.append(f"calls {spec.model.words} in {folder}; if you trust both, say so with --call-model")
    if spec.search.storage is not None and not open_storage:
        asked.append(f"keeps its study in {spec.search.storage}; if you trust that, say so with --open-storage")
    if asked:
        raise RunError(f"{path}: its sweep {', and '.join(asked)}")


def _check(spread: Parallelism | None) -> None:
    """See that work can be done where it is asked for, before anything is written."""
    if spread is not None:
        spread.check()


def _searched(search: Search, progress: ProgressSink | None, stopped: Callable[[], bool]) -> Status:
    """Search to the end, or until it is asked for between two stretches: in the middle of one the state is torn."""
    with closing(search.steps()) as steps:
        for point in steps:
            try:
                if progress is not None:
                    progress(point)
            except KeyboardInterrupt:
                return "interrupted"
            if stopped():
                return "interrupted"
    return "complete"


def _finish(
    search: Search,
    spec: Spec,
    directory: Path,
    header: Mapping[str, Any],
    journal: Journal,
    progress: ProgressSink | None,
    answered: Answered,
) -> StoredRun:
    """Search to the end, write the run directory, and drop the state beside it."""
    with journal.locked(), _interruptible() as stopped:
        if not directory.exists():
            status = _searched(search, progress, stopped)
            _write(search.outcome(status), spec, directory, header, search, answered)
        journal.remove()
    return open_run(directory, metrics=spec.derived)


def _write(
    outcome: Outcome,
    spec: Spec,
    directory: Path,
    header: Mapping[str, Any],
    search: Search | None,
    answered: Answered,
) -> None:
    """Write what was found; with the state of the search, for one to go on from, where there is one."""
    # A scheduler is there for the search alone, and may have gone by now.
    spread = None if search is None or search.spread.backend == "dask" else search.spread
    outcome, robust = under_draws(outcome, spec, spread)
    resolved = resolved_text(spec, outcome.parameters_read)
    manifest = {
        "schema": SCHEMA,
        "name": spec.name,
        "sampler": spec.search.sampler,
        "seed": spec.search.seed,
        "notes": list(outcome.notes),
        **header,
        "commit": source_commit(),
        "python": python_version(),
        "packages": package_versions(),
        "finished": datetime.now(UTC).isoformat(),
        **drawn_facts(spec, robust),
        "parameters": parameters_by_confidence(outcome.parameters_read, library_of(spec.library)),
    }

    def write(folder: Path) -> None:
        texts = {"sweep": spec.source_text or resolved, "resolved": resolved}
        run = write_answer(folder, outcome, **texts, manifest=manifest, spec=spec)
        if robust is not None:
            write_robust(folder, robust)
        answered(run, directory)
        write_rest(folder, outcome, spec)
        if search is not None:
            write_atomically(folder / STATE, search.state())
        seal(folder)

    write_whole(directory, write)


def state_of(done: StoredRun) -> bytes:
    """Return the state of the search of a finished run.

    Raises:
        RunError: there is none, or it is damaged.
    """
    return read_content(checked(done.path, STATE, done.manifest))


def _header(spec: Spec) -> dict[str, Any]:
    hashes = {"spec_sha256": spec.hash, "library_sha256": library_hash(library_of(spec.library))}
    if spec.model is not None:
        hashes["model_sha256"] = model_hash(spec.model)
    return {"started": datetime.now(UTC).isoformat(), **hashes}


def _place(spec: Spec, header: Mapping[str, Any], results: Path | str) -> Path:
    identity = text_hash(header["spec_sha256"], header["library_sha256"])
    started = datetime.fromisoformat(header["started"])
    return place_for_run(spec.name, identity, started=started, results=Path(results))


def _spec_of(done: StoredRun, state: bytes) -> Spec:
    """Return the sweep of a state. The resolved file says as much, but names parameters that the user left out."""
    return spec_of(read_packed(state, str(done.path / STATE)).part("spec"), done.derived)


def _check_same(path: Path, header: Mapping[str, Any], spec: Spec) -> None:
    """Refuse to mix what was computed with other inputs."""
    if header["spec_sha256"] != spec.hash:
        raise RunError(
            f"{path}: its sweep has been changed since it was started, or means something else to this "
            "version; run it again"
        )
    if spec.model is not None and header["model_sha256"] != model_hash(spec.model):
        raise RunError(f"{path}: the files of its model have been changed since it was started; run the sweep again")
    if header["library_sha256"] != library_hash(library_of(spec.library)):
        raise RunError(f"{path}: the technology library has been changed since it was started; run the sweep again")


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Note the first Ctrl-C, to be asked for between stretches; raise the second, which leaves the state on disk."""
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

"""Where work is done: in this process, in several, or on the workers of a Dask scheduler, through joblib.

Results come in the order of the tasks. A task is a function of its arguments, so one that was lost with its worker is
done again.
"""

from __future__ import annotations

import ctypes
import importlib.util
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

from dse.errors import MissingPackageError, RunError

R = TypeVar("R")

Backend = Literal["loky", "dask"]

MIN_PIECES = 32
"""Pieces that a search is cut into at least, as long as each has `LEAST_ROWS`."""

LEAST_ROWS = 1 << 14
"""Designs of a piece at least: with fewer, most of the time goes to what is done once for all of them."""

BLOCKS_EACH = 8
"""Blocks of every process at least, as long as each has a piece."""

MAX_AHEAD = 8
"""Tasks per worker that may be done before the one whose result is next."""

IDLE_S = 60
"""Time after which processes without work end by themselves."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that say how many threads libraries start."""

PAYS_S = 2.0
"""Least time of what is left of a search for which other processes are started: each needs about a second to begin."""

COPY_PAYS_S = 0.1
"""The same for copies of this process, which begin at once."""

MAX_LOSSES = 5
"""Times in a row that workers may be lost before any task is done; then the machine is at fault, not probability."""


MAX_JOBS_PER_CORE = 16
"""Processes per core beyond which they only stand in each other's way: each takes some 150 MB."""

LOOPBACK = "127.0.0.1"

Executors: TypeAlias = "Callable[[int], AbstractContextManager[Executor]]"
"""What provides so many processes."""

_PR_SET_PDEATHSIG = 1

_here: Callable[..., Any] | None = None
"""In a copy of a process, what that does tasks with."""


@dataclass(frozen=True)
class Parallelism:
    """Where work is done, and in what pieces; neither has an influence on what is found.

    Attributes:
        jobs: processes; 0 for one per core (of all Dask workers). None for one, and one per core as soon as the rest of
            a search can be expected to take so long that starting them pays.
        backend: "loky" for processes of this machine, "dask" for workers of a scheduler.
        scheduler: address of the Dask scheduler; one with local processes is started where empty.
        block_rows: most designs of one block, which is kept at once: a second's work, so that little is lost and many
            cores share it evenly.
        chunk_rows: most designs evaluated in one call: their columns stay in the cache.
        least_gain: designs of a pruned grid per combination of a condition's parameters at least; with fewer,
            evaluating them is as quick as working out the condition.
        keep_every_s: least time between two writings of the state, and so most of what a kill can lose.
        scheduler_answers_s: time that a scheduler has to answer.
    """

    jobs: int | None = 1
    backend: Backend = "loky"
    scheduler: str = ""
    block_rows: int = 1 << 18
    chunk_rows: int = 1 << 16
    least_gain: int = 16
    keep_every_s: float = 1.0
    scheduler_answers_s: float = 10.0

    @property
    def is_serial(self) -> bool:
        """Whether everything is done in this process."""
        return self.backend == "loky" and self.jobs == 1

    def describe(self) -> str:
        """Return where work is done, in words."""
        if self.is_serial:
            return "this process"
        if self.backend == "dask":
            return f"Dask at {self.scheduler}" if self.scheduler else "Dask on this machine"
        return f"{self.jobs or 'all'} processes" if self.jobs is not None else "as many processes as pay"

    def rows_per_piece(self, total: int) -> int:
        """Return the designs evaluated in one call in a search of `total`, whoever does it."""
        return min(self.chunk_rows, self.block_rows, max(LEAST_ROWS, -(-total // MIN_PIECES)))

    def rows_per_block(self, total: int, workers: int) -> int:
        """Return the rows of each block of a search of `total` designs by so many processes: some whole pieces."""
        piece = self.rows_per_piece(total)
        return piece * max(1, min(self.block_rows, total // (BLOCKS_EACH * workers)) // piece)

    def check(self) -> None:
        """See that the work can be done there, before anything of it is begun.

        Raises:
            RunError: more processes than this machine can hold, or no scheduler at the address.
            MissingPackageError: Dask is not installed.
        """
        limit = MAX_JOBS_PER_CORE * (os.cpu_count() or 1)
        if (self.jobs or 0) > limit and not self.scheduler:
            raise RunError(f"--jobs {self.jobs}: at most {limit} processes fit this machine; 0 is one per core")
        if self.backend == "dask":
            if importlib.util.find_spec("distributed") is None:
                raise MissingPackageError("distributed", "--backend dask")
            if self.scheduler:
                with self._dask_client():
                    pass

    @contextmanager
    def workers(self) -> Iterator[Workers]:
        """Provide workers for some tasks, and let them go afterwards."""
        if self.backend == "loky":
            yield Workers(self.jobs or os.cpu_count() or 1, where_it_pays=self.jobs is None)
            return
        with self._dask_client() as client:
            executor = client.get_executor(pure=False)
            yield Workers(max(sum(client.nthreads().values()), 2), executor=lambda count: nullcontext(executor))

    @contextmanager
    def _dask_client(self) -> Iterator[Any]:
        try:
            import distributed
        except ImportError:
            raise MissingPackageError("distributed", "--backend dask") from None
        dask: Any = distributed
        if self.scheduler:
            try:
                client = dask.Client(self.scheduler, timeout=self.scheduler_answers_s, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                raise RunError(f"--scheduler {self.scheduler}: no Dask scheduler answers there: {error}") from None
            with client:
                yield client
            return
        # Any free port: the usual one of the dashboard may be taken, even where no dashboard is wanted.
        # Whoever reaches the scheduler can run code: it listens to this machine alone.
        cluster = dask.LocalCluster(
            n_workers=self.jobs or None, threads_per_worker=1, host=LOOPBACK, dashboard_address=f"{LOOPBACK}:0"
        )
        with cluster, dask.Client(cluster, set_as_default=False) as client:
            yield client


class Workers:
    """Does tasks, several at a time.

    Args:
        count: how many at a time; 1 does them in this process.
        where_it_pays: do them in this process as long as starting others does not pay for those that are left.
        executor: what does tasks outside of this process, so many at a time; processes of this machine where None.
    """

    def __init__(self, count: int, *, where_it_pays: bool = False, executor: Executors | None = None) -> None:
        self.count, self._where_it_pays, self._executor = count, where_it_pays, executor

    def map(
        self, function: Callable[..., R], tasks: Sequence[tuple[Any, ...]], *, here: Callable[..., R] | None = None
    ) -> Generator[R, None, None]:
        """Yield ``function(*task)`` for every task in turn.

        Args:
            function: what is done elsewhere.
            tasks: its arguments.
            here: the same for this process, where that is to be one of the workers: it works from the first moment on,
                while the others are still being started, and instead of waiting for them. The others are copies of this
                process where the system can make them, and do `here` too, with all that it has at hand.

        Raises:
            RunError: workers are lost again and again.
        """
        own = here or function
        if self.count == 1 or len(tasks) == 1 or (self._where_it_pays and here is None):
            yield from (own(*task) for task in tasks)
            return
        copied = here is not None and self._executor is None and _can_be_copied()
        if self._where_it_pays:
            tasks = yield from _while_short(own, tasks, COPY_PAYS_S if copied else PAYS_S)
        with self._mailbox() as folder:
            turns = _Turns(_done_here if copied else function, tasks, here if self._executor is None else None, folder)
            outside = min(self.count - (turns.here is not None), len(tasks))
            executors = self._executor or (partial(_copies, own) if copied else _processes)
            losses = 0
            while turns.place < len(tasks):
                try:
                    with executors(outside) as executor, closing(turns.results(executor, outside)) as results:
                        for result in results:
                            losses = 0
                            yield result
                except Exception as error:
                    if not _is_loss(error):
                        raise
                    losses += 1
                    if losses == MAX_LOSSES:
                        raise RunError(f"workers were lost {losses} times in a row: {error}") from error

    def map_with(
        self, make: Callable[[], Callable[..., R]], tasks: Sequence[tuple[Any, ...]], *, here: Callable[..., R]
    ) -> Generator[R, None, None]:
        """Yield ``here(*task)`` for every task in turn, as `map` does.

        Args:
            make: makes what does the same elsewhere, once in each process; a function of a module, or a partial one.
            tasks: arguments.
            here: what this process, and its copies, do them with.
        """
        pickled = pickle.dumps(make) if self.count > 1 else b""
        return self.map(partial(_done_with, pickled), tasks, here=here)

    @contextmanager
    def _mailbox(self) -> Iterator[Path | None]:
        """Provide a folder that results of processes of this machine are left in; None for those of others.

        A process that is killed in the middle of a message through a pipe leaves its reader waiting for the rest for
        ever, as the pipe stays open: so a message is no more than the name of a file, which is written at once.
        """
        if self._executor is not None:
            yield None
            return
        with TemporaryDirectory(prefix="dse", ignore_cleanup_errors=True) as folder:
            yield Path(folder)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Have something done by a copy of this process while this one goes on.

    It is done here, afterwards, where there is one core, where no copy can be made, or where that is lost.
    """
    copy = None
    if (os.cpu_count() or 1) > 1 and _can_be_copied():
        context = multiprocessing.get_context("fork")
        copy = context.Process(target=_do_beside, args=(work, os.getpid()))
        copy.start()
    try:
        yield
        if copy is not None:
            copy.join()
    except BaseException:
        if copy is not None:
            copy.kill()
            copy.join()
        raise
    if copy is None or copy.exitcode:
        work()


def _do_beside(work: Callable[[], object], parent: int) -> None:
    _end_with(parent)
    work()


@lru_cache(maxsize=2)
def _made(pickled: bytes) -> Callable[..., Any]:
    """Return what a pickled function makes; made once per process."""
    return cast("Callable[..., Any]", pickle.loads(pickled)())


def _done_with(pickled: bytes, *task: Any) -> Any:
    """Do a task with what a pickled function makes; for other processes."""
    return _made(pickled)(*task)


def _left(folder: Path | None, function: Callable[..., R], task: tuple[Any, ...]) -> R | Path:
    """Return the result of a task, or the file in a folder that it was left in."""
    result = function(*task)
    if folder is None:
        return result
    handle, name = mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        pickle.dump(result, file, protocol=pickle.HIGHEST_PROTOCOL)
    return Path(name)


def _taken(left: Any) -> Any:
    """Return the result that a process of ours has left in a file, and remove the file."""
    with left.open("rb") as file:
        result = pickle.load(file)
    left.unlink()
    return result


def _while_short(
    function: Callable[..., R], tasks: Sequence[tuple[Any, ...]], pays_s: float
) -> Generator[R, None, Sequence[tuple[Any, ...]]]:
    """Do tasks one after the other until those that are left will take longer than `pays_s`, and return those."""
    began = time.perf_counter()
    for done, task in enumerate(tasks, start=1):
        yield function(*task)
        if (time.perf_counter() - began) / done * (len(tasks) - done) > pays_s:
            return tasks[done:]
    return ()


class _Turns(Generic[R]):
    """Tasks whose results are wanted in turn.

    Attributes:
        place: the task whose result is next.
    """

    def __init__(
        self,
        function: Callable[..., R],
        tasks: Sequence[tuple[Any, ...]],
        here: Callable[..., R] | None,
        folder: Path | None,
    ) -> None:
        self._function, self._tasks, self.here, self._folder = function, tasks, here, folder
        self.place = 0
        self._waiting = deque(range(len(tasks)))
        self._done: dict[int, R] = {}
        self._asked: dict[int, Future[R | Path]] = {}
        self._begun = False

    def results(self, executor: Executor, workers: int) -> Generator[R, None, None]:
        """Yield the results that are left; tasks that were lost with their workers are done again."""
        try:
            while self.place < len(self._tasks):
                self._ask(executor, workers)
                if not self._is_ready() and self.here is not None and (task := self._task_for_here()) is not None:
                    self._done[task] = self.here(*self._tasks[task])
                else:
                    result = self._done.pop(self.place) if self.place in self._done else self._answer(self.place)
                    self._asked.pop(self.place, None)
                    self.place += 1
                    yield result
        finally:
            for future in self._asked.values():
                future.cancel()
            self._waiting = deque(sorted({*self._waiting, *self._asked}))
            self._asked = {}

    def _answer(self, task: int) -> R:
        """Return what a worker makes of a task."""
        result: Any = self._asked[task].result()
        return cast("R", result if self._folder is None else _taken(result))

    def _ask(self, executor: Executor, workers: int) -> None:
        """Let workers have something to do, and something for when they have done it."""
        running = sum(not future.done() for future in self._asked.values())
        # Results that wait for an earlier one take memory.
        while self._waiting and running < 2 * workers and self._waiting[0] < self.place + MAX_AHEAD * (workers + 1):
            task = self._waiting[0]
            self._asked[task] = executor.submit(_left, self._folder, self._function, self._tasks[task])
            self._waiting.popleft()
            running += 1

    def _is_ready(self) -> bool:
        return self.place in self._done or (self.place in self._asked and self._asked[self.place].done())

    def _task_for_here(self) -> int | None:
        """Return the next task that no worker has begun, None where there is none or too many results wait already."""
        if self._waiting and self._waiting[0] < self.place + MAX_AHEAD:
            return self._waiting.popleft()
        for task, future in list(self._asked.items()):
            if future.cancel():
                del self._asked[task]
                return task
        self._begun |= any(future.done() for future in self._asked.values())
        # No worker is there yet: what they were asked is done here, rather than waited for.
        return None if self._begun else min(self._asked.keys() - self._done.keys(), default=None)


def _can_be_copied() -> bool:
    """Tell whether a copy of this process can do its work: one of several threads may lack what the others held."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def _copies(here: Callable[..., Any], count: int) -> Iterator[Executor]:
    """Provide copies of this process that do `here`; nothing is imported, read or prepared again."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(count, context, initializer=_begin_copy, initargs=(here, os.getpid())) as executor:
        with warnings.catch_warnings():
            # Threads of libraries that wait for matrices to multiply; there are none in the models.
            warnings.simplefilter("ignore", DeprecationWarning)
            executor.submit(int)
        yield executor


def _begin_copy(here: Callable[..., Any], parent: int) -> None:
    """Make this copy one that does `here` as its parent does."""
    global _here
    _here = here
    _end_with(parent)


def _end_with(parent: int) -> None:
    """Make this copy one that ends with its parent, and leaves it to that to be interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _done_here(*task: Any) -> Any:
    """Do a task as the process does it that this one is a copy of."""
    assert _here is not None
    return _here(*task)


@contextmanager
def _processes(count: int) -> Iterator[Executor]:
    """Provide processes of this machine, the same ones from call to call."""
    from joblib.externals.loky import get_reusable_executor

    # What NumPy would start of threads is of no use to arrays that fit a cache.
    with warnings.catch_warnings():
        # Tasks that were taken back count as running until the processes look at them.
        warnings.simplefilter("ignore", UserWarning)
        executor: Executor = get_reusable_executor(count, timeout=IDLE_S, env=dict.fromkeys(THREADS, "1"))
    yield executor


def _is_loss(error: Exception) -> bool:
    """Tell whether an error says that a worker is gone, not that a task failed."""
    lost = ("KilledWorker", "CommClosedError", "FutureCancelledError")
    return isinstance(error, BrokenExecutor) or type(error).__name__ in lost

"""Where work is done: in this process, in several, or on the workers of a Dask scheduler, through joblib.

Results come in the order of the tasks. A task is a function of its arguments, so one that was lost with its worker is
done again.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from dse.errors import MissingPackageError, RunError

R = TypeVar("R")

Backend = Literal["loky", "dask"]

MIN_BLOCKS = 64
"""Blocks that a search is cut into at least, as long as each fills a chunk."""

MAX_LOSSES = 5
"""Times in a row that workers may be lost before any task is done; then the machine is at fault, not probability."""


MAX_JOBS_PER_CORE = 16
"""Processes per core beyond which they only stand in each other's way: each takes some 150 MB."""

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Parallelism:
    """Where work is done, and in what pieces; neither has an influence on what is found.

    Attributes:
        jobs: processes; 0 for one per core (of all Dask workers).
        backend: "loky" for processes of this machine, "dask" for workers of a scheduler.
        scheduler: address of the Dask scheduler; one with local processes is started where empty.
        block_rows: most designs of one block, which is kept at once: a second's work, so that little is lost and many
            cores share it evenly.
        chunk_rows: designs evaluated in one call: their columns stay in the cache.
        least_gain: designs of a pruned grid per combination of a condition's parameters at least; with fewer,
            evaluating them is as quick as working out the condition.
        keep_every_s: least time between two writings of the state of a sampler that learns.
    """

    jobs: int = 1
    backend: Backend = "loky"
    scheduler: str = ""
    block_rows: int = 1 << 18
    chunk_rows: int = 1 << 14
    least_gain: int = 16
    keep_every_s: float = 1.0

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
        return f"{self.jobs or 'all'} processes"

    def rows_per_block(self, total: int) -> int:
        """Return the rows of each block of a search of `total` designs."""
        chunks = -(-total // (MIN_BLOCKS * self.chunk_rows))
        return min(self.block_rows, chunks * self.chunk_rows)

    def check(self) -> None:
        """See that the work can be done there, before anything of it is begun.

        Raises:
            RunError: more processes than this machine can hold, or no scheduler at the address.
            MissingPackageError: Dask is not installed.
        """
        limit = MAX_JOBS_PER_CORE * (os.cpu_count() or 1)
        if self.jobs > limit and not self.scheduler:
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
        import joblib

        jobs = self.jobs or -1
        if self.backend == "loky":
            with joblib.parallel_config("loky", n_jobs=jobs):
                yield Workers(1 if self.is_serial else joblib.effective_n_jobs())
            return
        with self._dask_client() as client, joblib.parallel_config("dask", n_jobs=jobs, client=client):
            yield Workers(max(joblib.effective_n_jobs(), 2))

    @contextmanager
    def _dask_client(self) -> Iterator[Any]:
        try:
            import distributed
        except ImportError:
            raise MissingPackageError("distributed", "--backend dask") from None
        dask: Any = distributed
        if self.scheduler:
            try:
                client = dask.Client(self.scheduler, timeout="10s", set_as_default=False)
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
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def map(self, function: Callable[..., R], tasks: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        """Yield ``function(*task)`` for every task in turn.

        Raises:
            RunError: workers are lost again and again.
        """
        if self.count == 1:
            yield from (function(*task) for task in tasks)
            return
        import joblib

        done = losses = 0
        while done < len(tasks):
            parallel = joblib.Parallel(return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
            results = parallel(joblib.delayed(function)(*task) for task in tasks[done:])
            try:
                for result in results:
                    yield result
                    done += 1
                    losses = 0
            except Exception as error:
                if not _is_loss(error):
                    raise
                losses += 1
                if losses == MAX_LOSSES:
                    raise RunError(f"workers were lost {losses} times in a row: {error}") from error


def _is_loss(error: Exception) -> bool:
    """Tell whether an error says that a worker is gone, not that a task failed."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    lost = ("KilledWorker", "CommClosedError", "FutureCancelledError")
    return isinstance(error, BrokenProcessPool) or type(error).__name__ in lost

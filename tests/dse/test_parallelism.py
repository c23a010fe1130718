"""Tasks done in several processes: the results of one, in their order, whoever did what and was lost."""

import contextlib
import itertools
import multiprocessing
import operator
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future
from functools import partial
from types import SimpleNamespace

import pytest

from dse import parallelism
from dse.errors import MissingPackageError, RunError
from dse.parallelism import Parallelism, Workers

TASKS = [(number, 3) for number in range(40)]
PRODUCTS = [3 * number for number in range(40)]


def _lost_at(number, mark, me):
    """Multiply by 3, but end the process the first time that a number is met outside of the process `me`."""
    if number == 7 and os.getpid() != me and not mark.exists():
        mark.touch()
        os._exit(1)
    return 3 * number


@pytest.mark.parametrize("here", [None, operator.mul])
@pytest.mark.parametrize("options", [{}, {"where_it_pays": True}])
@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_tasks(count, options, here):
    assert list(Workers(count, **options).map(operator.mul, TASKS, here=here)) == PRODUCTS
    assert list(Workers(count, **options).map(operator.mul, [], here=here)) == []


@pytest.mark.parametrize("copied", [True, False])
def test_this_process_works_too_and_alone_where_others_do_not_pay(monkeypatch, copied):
    def unwanted(*_):
        raise AssertionError("a process was started")

    monkeypatch.setattr(parallelism, "_can_be_copied", lambda: copied)
    monkeypatch.setattr(parallelism, "_copies" if copied else "_processes", unwanted)
    assert list(Workers(2, where_it_pays=True).map(operator.mul, TASKS, here=operator.mul)) == PRODUCTS
    monkeypatch.setattr(parallelism, "COPY_PAYS_S" if copied else "PAYS_S", -1.0)
    with pytest.raises(AssertionError, match="a process was started"):
        list(Workers(2, where_it_pays=True).map(operator.mul, TASKS, here=operator.mul))


@pytest.mark.parametrize("copied", [True, False])
def test_other_processes_do_tasks_with_what_each_makes_once(monkeypatch, copied):
    monkeypatch.setattr(parallelism, "_can_be_copied", lambda: copied)
    make, tasks = partial(partial, operator.mul, 3), [(number,) for number in range(40)]
    assert list(Workers(2).map_with(make, tasks, here=lambda number: 3 * number)) == PRODUCTS
    pickled = pickle.dumps(partial(list))
    assert parallelism._made(pickled) is parallelism._made(pickled)
    unpicklable = list(Workers(1).map_with(lambda: None, tasks, here=lambda number: 3 * number))
    assert unpicklable == PRODUCTS, "one process needs no other"


@pytest.mark.parametrize("here", [None, _lost_at])
def test_a_lost_worker_loses_nothing(tmp_path, here):
    tasks = [(number, tmp_path / "mark", os.getpid()) for number in range(40)]
    assert list(Workers(2).map(_lost_at, tasks, here=here)) == PRODUCTS


def test_a_copy_does_something_beside_this_process_which_does_it_itself_where_it_must(tmp_path, monkeypatch):
    mark = tmp_path / "mark"

    def work():
        mark.write_text(f"{os.getpid()} {mark.exists()}")

    monkeypatch.setattr(parallelism.os, "cpu_count", lambda: 2)
    with parallelism.beside(work):
        assert not mark.exists() or int(mark.read_text().split()[0]) != os.getpid()
    assert (int(mark.read_text().split()[0]) == os.getpid()) != parallelism._can_be_copied()
    for lacking in ("cpu_count", "copies", "lost"):
        with monkeypatch.context() as poor:
            if lacking == "cpu_count":
                poor.setattr(parallelism.os, "cpu_count", lambda: None)
            elif lacking == "copies":
                poor.setattr(parallelism, "_can_be_copied", lambda: False)
            else:
                poor.setattr(parallelism, "_do_beside", lambda work, parent: os._exit(1))
            mark.unlink()
            with parallelism.beside(work):
                assert not mark.exists()
            assert mark.read_text() == f"{os.getpid()} False"
    mark.unlink()
    with pytest.raises(KeyError), parallelism.beside(lambda: time.sleep(60)):
        raise KeyError
    copies = [one for one in multiprocessing.active_children() if type(one).__name__ == "ForkProcess"]
    assert not mark.exists() and not copies


def test_workers_that_are_lost_each_time_are_an_error():
    with pytest.raises(RunError, match="workers were lost 5 times in a row"):
        list(Workers(2).map(os._exit, [(1,), (1,)]))


COPIED = """
import os, time
from dse.parallelism import Workers

def own(number):
    os.write(1, b"done %d %d\\n" % (number, os.getpid()))
    time.sleep(0.02)
    return 3 * number

for product in Workers(2).map(None, [(number,) for number in range(100_000)], here=own):
    os.write(1, b"found %d\\n" % product)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="copies are made where the kernel ends them with their parent")
def test_copies_do_what_this_process_does_and_end_with_it():
    with subprocess.Popen([sys.executable, "-c", COPIED], stdout=subprocess.PIPE, text=True) as program:
        lines = []
        while "found 57\n" not in lines:
            lines.append(program.stdout.readline())
        program.kill()
        # Its copies hold the pipe open as long as they are there.
        program.communicate(timeout=60)
    assert [line for line in lines if line[:5] == "found"] == [f"found {3 * number}\n" for number in range(20)]
    workers = {line.split()[2] for line in lines if line.startswith("done")}
    assert len(workers) == 2 and str(program.pid) in workers


# --- without a process ----------------------------------------------------------------------------------------------


class AtOnce:
    """An executor that does what it is asked at once, and is lost with every task that is in `lost`."""

    def __init__(self, lost=()):
        self.lost = list(lost)

    def submit(self, function, folder, task_function, task):
        future = Future()
        if task in self.lost:
            self.lost.remove(task)
            future.set_exception(BrokenExecutor("gone"))
        else:
            future.set_result(function(folder, task_function, task))
        return future


def provided(executor, asked):
    """Return what provides an executor, and remember for how many processes."""

    @contextlib.contextmanager
    def executors(count):
        asked.append(count)
        yield executor

    return executors


@pytest.mark.parametrize(("count", "tasks", "outside"), [(3, 40, 3), (3, 2, 2), (2, 2, 2), (40, 40, 40)])
def test_no_more_workers_than_tasks_are_asked_for(count, tasks, outside):
    asked = []
    workers = Workers(count, executor=provided(AtOnce(), asked))
    assert list(workers.map(operator.mul, TASKS[:tasks], here=operator.mul)) == PRODUCTS[:tasks]
    assert asked == [outside]


@pytest.mark.parametrize(("count", "tasks", "outside"), [(3, 40, 2), (3, 2, 2), (4, 2, 2), (2, 40, 1)])
def test_this_process_is_one_of_the_workers(count, tasks, outside, monkeypatch):
    for copied, name in ((True, "_copies"), (False, "_processes")):
        asked, owns = [], []

        def copies(own, wanted, asked=asked, owns=owns):
            owns.append(own)
            monkeypatch.setattr(parallelism, "_here", own)
            return provided(AtOnce(), asked)(wanted)

        monkeypatch.setattr(parallelism, "_can_be_copied", lambda copied=copied: copied)
        monkeypatch.setattr(parallelism, name, copies if copied else provided(AtOnce(), asked))
        found = Workers(count).map(operator.mul, TASKS[:tasks], here=lambda one, other: other * one)
        assert list(found) == PRODUCTS[:tasks] and asked == [outside]
        assert len(owns) == copied, "a copy does what this process does"


def test_losses_in_a_row_are_counted_until_a_task_is_done():
    asked = []
    # Too far apart for the later one to be asked for before the earlier is done.
    executor = AtOnce([TASKS[3], TASKS[39]] * 4)
    found = Workers(2, executor=provided(executor, asked)).map(operator.mul, TASKS)
    assert list(found) == PRODUCTS and len(asked) == 1 + 2 * 4
    with pytest.raises(RunError, match="lost 5 times in a row: gone"):
        list(Workers(2, executor=provided(AtOnce([TASKS[3]] * 5), asked)).map(operator.mul, TASKS))

    def wrong(*_):
        raise ValueError("the task's own fault")

    asked.clear()
    with pytest.raises(ValueError, match="own fault"):
        list(Workers(2, executor=provided(AtOnce(), asked)).map(wrong, TASKS))
    assert asked == [2]


@pytest.mark.parametrize(("copied", "pays_s"), [(True, 0.1), (False, 2.0)])
def test_other_processes_pay_for_what_is_left(copied, pays_s, monkeypatch):
    """Of four tasks three are left after the first."""
    monkeypatch.setattr(parallelism, "_can_be_copied", lambda: copied)
    for each_s, started in ((pays_s / 3 * 0.99, 0), (pays_s / 3 * 1.01, 1)):
        clock, asked = itertools.count(0.0, each_s), []
        monkeypatch.setattr(parallelism.time, "perf_counter", lambda clock=clock: next(clock))
        monkeypatch.setattr(parallelism, "_processes", provided(AtOnce(), asked))
        monkeypatch.setattr(parallelism, "_copies", lambda own, count, asked=asked: provided(AtOnce(), asked)(count))
        monkeypatch.setattr(parallelism, "_here", operator.mul)
        found = Workers(3, where_it_pays=True).map(operator.mul, TASKS[:4], here=operator.mul)
        assert list(found) == PRODUCTS[:4] and asked == [2] * started


def test_results_of_processes_of_this_machine_are_left_in_files(tmp_path, monkeypatch):
    assert parallelism._left(None, operator.mul, (2, 3)) == 6
    left = parallelism._left(tmp_path, operator.mul, (2, 3))
    assert [left] == list(tmp_path.iterdir()) and parallelism._taken(left) == 6 and not left.exists()
    with Workers(2)._mailbox() as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with Workers(2, executor=provided(AtOnce(), []))._mailbox() as none:
        assert none is None
    told = {}

    def folder(**named):
        told.update(named)
        return contextlib.nullcontext(str(tmp_path))

    monkeypatch.setattr(parallelism, "TemporaryDirectory", folder)
    with Workers(2)._mailbox() as place:
        assert place == tmp_path
    assert told == {"prefix": "dse", "ignore_cleanup_errors": True}, "what cannot be removed ends no search"


def test_a_process_of_one_thread_is_copied_on_linux(monkeypatch):
    for platform, threads, fine in (("linux", 1, True), ("linux", 2, False), ("darwin", 1, False), ("win32", 3, False)):
        monkeypatch.setattr(parallelism.sys, "platform", platform)
        monkeypatch.setattr(parallelism.threading, "active_count", lambda threads=threads: threads)
        assert parallelism._can_be_copied() is fine


def test_a_copy_ends_with_its_parent_and_is_not_interrupted(monkeypatch):
    done = []
    monkeypatch.setattr(parallelism, "_here", None)
    monkeypatch.setattr(parallelism.signal, "signal", lambda *told: done.append(told))
    library = SimpleNamespace(prctl=lambda *told: done.append(("prctl", *told)))
    monkeypatch.setattr(parallelism.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(parallelism.os, "_exit", lambda status: done.append(("exit", status)))
    parallelism._begin_copy(operator.mul, os.getppid())
    kept = [(signal.SIGINT, signal.SIG_IGN), ("prctl", 1, signal.SIGKILL)]  # PR_SET_PDEATHSIG of <linux/prctl.h>
    assert done == kept and parallelism._done_here(5, 3) == 15
    done.clear()
    parallelism._begin_copy(operator.mul, os.getppid() + 1)
    assert done == [*kept, ("exit", 1)], "its parent has ended before it could be told"


def test_machines_that_do_not_tell_their_cores_have_one(monkeypatch):
    monkeypatch.setattr(parallelism.os, "cpu_count", lambda: None)
    Parallelism(jobs=16).check()
    with pytest.raises(RunError, match="at most 16 processes"):
        Parallelism(jobs=17).check()
    with Parallelism(jobs=0).workers() as workers:
        assert workers.count == 1


# --- Dask, without one ----------------------------------------------------------------------------------------------


class Scheduler:
    """What stands in for the package: it remembers what it was asked, and has workers with 3 and 2 threads."""

    def __init__(self, threads=(3, 2)):
        self.threads, self.calls, self.open = threads, [], 0

    def _one(self, name, *positional, **named):
        self.calls.append((name, positional, named))
        return self

    def Client(self, *positional, **named):
        return self._one("client", *positional, **named)

    def LocalCluster(self, **named):
        return self._one("cluster", **named)

    def __enter__(self):
        self.open += 1
        return self

    def __exit__(self, *_):
        self.open -= 1

    def nthreads(self):
        return dict(enumerate(self.threads))

    def get_executor(self, *, pure):
        assert pure is False, "a task may be asked for twice"
        return AtOnce()


@pytest.mark.parametrize(("threads", "count"), [((3, 2), 5), ((1,), 2), ((), 2), ((1, 2), 3)])
def test_the_workers_of_a_scheduler_are_used(threads, count, monkeypatch):
    dask = Scheduler(threads)
    monkeypatch.setitem(sys.modules, "distributed", dask)
    with Parallelism(backend="dask", scheduler="tcp://x:1", scheduler_answers_s=7.0).workers() as workers:
        assert dask.open == 1 and workers.count == count
        assert list(workers.map(operator.mul, TASKS, here=operator.mul)) == PRODUCTS
    assert dask.calls == [("client", ("tcp://x:1",), {"timeout": 7.0, "set_as_default": False})] and dask.open == 0


@pytest.mark.parametrize(("jobs", "asked"), [(3, 3), (0, None), (None, None)])
def test_without_an_address_a_scheduler_is_started_that_only_this_machine_reaches(jobs, asked, monkeypatch):
    dask = Scheduler()
    monkeypatch.setitem(sys.modules, "distributed", dask)
    with Parallelism(jobs, "dask").workers():
        assert dask.open == 2
    told = {
        "n_workers": asked, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0",
    }  # fmt: skip
    assert dask.calls == [("cluster", (), told), ("client", (dask,), {"set_as_default": False})] and dask.open == 0


def test_dask_is_looked_for_before_anything_is_begun(monkeypatch):
    dask, there = Scheduler(), [True]
    monkeypatch.setitem(sys.modules, "distributed", dask)
    monkeypatch.setattr(parallelism.importlib.util, "find_spec", lambda name: object() if there[0] else None)
    Parallelism(backend="dask").check()
    assert not dask.calls, "none is started to see whether one can be"
    Parallelism(10_000, "dask", "tcp://x:1").check()
    assert [call[0] for call in dask.calls] == ["client"] and dask.open == 0, "its machines are others"
    there[0] = False
    with pytest.raises(MissingPackageError, match="distributed"):
        Parallelism(backend="dask").check()
    Parallelism(2).check()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPackageError, match="distributed"), Parallelism(backend="dask").workers():
        pass


def test_a_search_in_one_process_is_cut_as_documented():
    assert Parallelism() == Parallelism(1, "loky", "", 2**18, 2**16, 16, keep_every_s=1.0, scheduler_answers_s=10.0)

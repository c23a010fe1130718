"""Tasks done in several processes: the results of one, in their order, whoever did what and was lost."""

import operator
import os
import subprocess
import sys

import pytest

from dse.errors import RunError
from dse.search import parallelism
from dse.search.parallelism import Workers

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


@pytest.mark.parametrize("here", [None, _lost_at])
def test_a_lost_worker_loses_nothing(tmp_path, here):
    tasks = [(number, tmp_path / "mark", os.getpid()) for number in range(40)]
    assert list(Workers(2).map(_lost_at, tasks, here=here)) == PRODUCTS


def test_workers_that_are_lost_each_time_are_an_error():
    with pytest.raises(RunError, match="workers were lost 5 times in a row"):
        list(Workers(2).map(os._exit, [(1,), (1,)]))


COPIED = """
import os, time
from dse.search.parallelism import Workers

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

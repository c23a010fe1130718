"""The pieces of a search by hand: cuts, clocks, turns of tasks, files of a journal, tables of conditions."""

from concurrent.futures import BrokenExecutor, Future
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.table import Table
from dse import parallelism
from dse.errors import RecordError, RunError
from dse.evaluator import Evaluation
from dse.parallelism import Parallelism, Workers
from dse.results.rows import Rows
from dse.search import blocks, estimate
from dse.search.journal import Journal, find_unfinished, unfinished
from dse.search.pruning import MarginTable, Tables
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import tiny

# --- cuts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "piece"),
    [(1, 1 << 14), (32 << 14, 1 << 14), ((32 << 14) + 1, (1 << 14) + 1), (10**6, 31250), (10**6 + 1, 31251),
     (32 << 16, 1 << 16), (10**9, 1 << 16)],
)  # fmt: skip
def test_a_search_has_32_pieces_within_bounds(total, piece):
    assert Parallelism().rows_per_piece(total) == piece
    assert Parallelism(chunk_rows=100).rows_per_piece(total) == 100
    assert Parallelism(block_rows=99, chunk_rows=100).rows_per_piece(total) == 99


@pytest.mark.parametrize(
    ("total", "workers", "pieces"),
    [(1, 1, 1), (10**6, 1, 4), (10**6, 2, 2), (10**6, 4, 1), (10**9, 1, 4), (8 << 18, 1, 4), ((8 << 18) - 1, 1, 3)],
)
def test_a_block_is_whole_pieces_eight_for_every_process(total, workers, pieces):
    spread = Parallelism()
    assert spread.rows_per_block(total, workers) == pieces * spread.rows_per_piece(total)


@pytest.mark.parametrize(
    ("spread", "words", "serial"),
    [
        ({}, "this process", True), ({"jobs": 2}, "2 processes", False), ({"jobs": 0}, "all processes", False),
        ({"jobs": None}, "as many processes as pay", False), ({"backend": "dask"}, "Dask on this machine", False),
        ({"backend": "dask", "scheduler": "tcp://x:1"}, "Dask at tcp://x:1", False),
    ],
)  # fmt: skip
def test_where_work_is_done_is_told(spread, words, serial):
    assert (Parallelism(**spread).describe(), Parallelism(**spread).is_serial) == (words, serial)


@pytest.mark.parametrize(("jobs", "fine"), [(None, True), (1, True), (32, True), (33, False), (0, True)])
def test_sixteen_processes_per_core_are_the_most(jobs, fine, monkeypatch):
    monkeypatch.setattr(parallelism.os, "cpu_count", lambda: 2)
    if fine:
        Parallelism(jobs=jobs).check()
    else:
        with pytest.raises(RunError, match="--jobs 33: at most 32 processes"):
            Parallelism(jobs=jobs).check()
    with Parallelism(jobs=jobs).workers() as workers:
        assert (workers.count, workers._where_it_pays) == (jobs or 2, jobs is None)


def test_a_table_is_cut_into_chunks():
    table = Table({"a": np.arange(7.0)})
    assert [chunk["a"].tolist() for chunk in blocks.chunks_of(table, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert blocks.chunks_of(table.take(slice(0, 0)), 3) == []


# --- turns ------------------------------------------------------------------------------------------------------------


class Later:
    """An executor that does what it is asked when it is told to."""

    def __init__(self):
        self.asked = []

    def submit(self, function, *arguments):
        future = Future()
        self.asked.append((future, function, arguments))
        return future

    def do(self, place):
        future, function, arguments = self.asked[place]
        if future.set_running_or_notify_cancel():
            future.set_result(function(*arguments))

    @property
    def running(self):
        return sum(not future.done() for future, _, _ in self.asked)


def turns(count, here=None):
    return parallelism._Turns(lambda one: 10 * one, [(one,) for one in range(count)], here, None)


def test_workers_have_one_task_more_each_than_they_do():
    executor, one = Later(), turns(20)
    one._ask(executor, 3)
    assert executor.running == 6
    for place in (0, 4):
        executor.do(place)
    one._ask(executor, 3)
    assert executor.running == 6 and len(executor.asked) == 8
    # What waits for an earlier result takes memory: at most 8 tasks ahead of the next for each worker and one more.
    ahead, many = turns(100), Later()
    ahead._ask(many, 1)
    for _ in range(60):
        for place in range(1, len(many.asked)):
            if not many.asked[place][0].done():
                many.do(place)
        ahead._ask(many, 1)
    assert len(many.asked) == 8 * 2


def test_results_come_in_turn_and_what_was_lost_is_done_again():
    executor, one = Later(), turns(5)
    stream = one.results(executor, 2)
    one._ask(executor, 2)
    for place in (2, 1, 0):
        executor.do(place)
    assert [next(stream) for _ in range(3)] == [0, 10, 20] and one.place == 3
    executor.asked[3][0].set_exception(BrokenExecutor("gone"))
    with pytest.raises(BrokenExecutor):
        next(stream)
    assert list(one._waiting) == [3, 4] and not one._asked
    again = Later()
    rest = one.results(again, 2)
    one._ask(again, 2)
    again.do(1)
    again.do(0)
    assert list(rest) == [30, 40] and one.place == 5


def test_this_process_does_what_no_worker_has_begun():
    done = []
    executor, one = Later(), turns(4, here=lambda one: done.append(one) or 10 * one)
    assert list(one.results(executor, 1)) == [0, 10, 20, 30]
    assert sorted(done) == [0, 1, 2, 3] and all(future.cancelled() or future.done() for future, _, _ in executor.asked)


def test_tasks_are_done_here_until_others_pay(monkeypatch):
    clock = iter(np.arange(0, 100, 1.0))
    monkeypatch.setattr(parallelism.time, "perf_counter", lambda: next(clock))

    def left(pays_s, count=6):
        stream, done = parallelism._while_short(lambda one: one, [(one,) for one in range(count)], pays_s), []
        while True:
            try:
                done.append(next(stream))
            except StopIteration as ended:
                return done, ended.value

    # A second a task: after each, as many seconds are left as tasks.
    assert left(5.0) == ([0, 1, 2, 3, 4, 5], ()) and left(4.9) == ([0], [(1,), (2,), (3,), (4,), (5,)])
    assert left(0.0, 1) == ([0], ())


@pytest.mark.parametrize(
    ("count", "tasks", "pays", "here"), [(1, 3, False, None), (4, 1, False, None), (4, 3, True, None)]
)
def test_few_tasks_need_no_other_process(count, tasks, pays, here):
    def nobody(count):
        raise AssertionError("no worker is needed")

    workers = Workers(count, where_it_pays=pays, executor=nobody)
    assert list(workers.map(lambda one: -one, [(one,) for one in range(tasks)], here=here)) == [
        -one for one in range(tasks)
    ]


@pytest.mark.parametrize("error", [BrokenExecutor("x"), type("KilledWorker", (Exception,), {})("x"), ValueError("x")])
def test_a_worker_that_is_gone_is_no_task_that_failed(error):
    assert parallelism._is_loss(error) == (not isinstance(error, ValueError))


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_a_clock_adds_up_by_part(monkeypatch):
    clock = iter([1.0, 3.0, 10.0, 11.5])
    monkeypatch.setattr(blocks.time, "perf_counter", lambda: next(clock))
    timer = blocks.Timer()
    with timer.part("keep"):
        pass
    with timer.part("sample"):
        pass
    timer.add({"keep": 5.0, "evaluate": 1.0})
    assert timer.parts == {"sample": 1.5, "evaluate": 1.0, "keep": 7.0}


@pytest.mark.parametrize(("count", "batch", "probes"), [
    (64, 64, [64, 64, 2048, 2048]), (900, 900, [64, 64, 2048, 2048]),
    (1000, 10, [64, 64, 2048, 2048, 4096, 512, 512, 16_384, 16_384]),
])  # fmt: skip
def test_a_run_takes_its_calls_and_its_designs(count, batch, probes, monkeypatch):
    # A call costs 0.5 s, a design 0.01 s, and a tenth of this once the model is noted, as it is in long searches.
    now = [0.0]
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: now[0])
    points = []

    def evaluate(designs, metrics):
        now[0] += (0.5 + 0.01 * designs.rows) / (10 if len(points) > 4 else 1)
        points.append(designs)
        assert metrics == ()

    spec = parse_spec(tiny(search={"sampler": "random", "n_designs": count, "batch_size": batch}))
    found = estimate.seconds_estimate(spec, Space(spec), SimpleNamespace(evaluate=evaluate, note=points.append))
    assert found == pytest.approx((0.01 * count + 0.5 * -(-count // batch)) / (10 if len(probes) > 4 else 1))
    assert [designs.rows for designs in points] == probes
    whole = Space(spec).encode(points[2])
    assert len(np.unique(whole, axis=0)) > 64, "all over the space"


def test_a_machine_that_hesitates_costs_no_negative_time(monkeypatch):
    times = iter([0.0, 4.0, 5.0, 8.0, 8.0, 9.0, 9.0, 11.0])
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(times))
    spec = parse_spec(tiny(search={"sampler": "random", "n_designs": 100, "batch_size": 50}))
    evaluator = SimpleNamespace(evaluate=lambda designs, metrics: None)
    assert estimate.seconds_estimate(spec, Space(spec), evaluator) == pytest.approx(6.0)


# --- stretches --------------------------------------------------------------------------------------------------------


def some_rows(first, count):
    found = Evaluation({}, {}, np.zeros((count, 1)), np.ones(count, bool))
    return Rows(np.arange(first, first + count), Table({"a": np.zeros(count)}), found)


def test_rows_are_kept_when_there_are_enough():
    shown = []
    keeper = SimpleNamespace(add=lambda rows: shown.append(rows.ids.tolist()))
    work = SimpleNamespace(keeper=lambda: keeper, spread=Parallelism(chunk_rows=5))
    stretch = blocks.Stretch(work)
    for first in (0, 2, 4, 6):
        stretch.add(some_rows(first, 2))
    assert shown == [[0, 1, 2, 3, 4, 5]] and stretch.keeper() is keeper
    assert shown == [[0, 1, 2, 3, 4, 5], [6, 7]] and stretch.keeper() is keeper and len(shown) == 2
    stretch.add(some_rows(8, 5))
    assert shown[-1] == [8, 9, 10, 11, 12]


def test_several_tables_are_completed_at_once():
    context = object.__new__(blocks.SearchContext)
    context.spread, asked = Parallelism(chunk_rows=3), []

    def evaluate(designs):
        asked.append(designs.rows)
        return SimpleNamespace(metrics={"twice": 2 * designs["a"]})

    context.evaluator = SimpleNamespace(evaluate=evaluate)

    def numbered(first, count):
        rows = some_rows(first, count)
        return Rows(rows.ids, Table({"a": np.arange(first, first + count) * 1.0}), rows.evaluation)

    one, none, two = context.complete_all([numbered(0, 2), None, numbered(5, 4)])
    assert none is None and asked == [3, 3]
    assert one.evaluation.metrics["twice"].tolist() == [0, 2] and one.ids.tolist() == [0, 1]
    assert two.evaluation.metrics["twice"].tolist() == [10, 12, 14, 16] and two.ids.tolist() == [5, 6, 7, 8]
    assert context.complete_all([None, None]) == [None, None] and context.complete(None) is None
    asked.clear()
    assert context.complete(numbered(0, 7)).evaluation.metrics["twice"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert asked == [3, 3, 1]


# --- journal ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path):
    header = {"started": "now", "spec_sha256": "a", "library_sha256": "b"}
    return Journal.begin(unfinished(tmp_path / "run"), header, parse_spec(tiny()))


def stretch(journal, first, last, sampler=None):
    keeper = SimpleNamespace(state=lambda: {"ids": np.arange(first, last)})
    journal.add(first, last, keeper, {"keep": 1.5}, sampler)


def test_a_journal_holds_its_sweep_where_it_began_and_what_was_kept(journal, tmp_path):
    assert journal.folder == tmp_path / "run.unfinished" and journal.header["started"] == "now"
    assert journal.spec().name == "tiny" and journal.is_empty
    text = (journal.folder / "search.json").read_text()
    assert text == '{\n  "started": "now",\n  "spec_sha256": "a",\n  "library_sha256": "b"\n}', "for people to read"
    journal.set_start(None)
    assert not journal.is_empty and journal.start is None
    journal.set_start(b"state")
    assert journal.start == b"state"
    assert list(journal.kept()) == []
    for first, last in ((0, 5), (5, 6), (6, 9)):
        stretch(journal, first, last)
    stretch(journal, 10, 12)
    (journal.folder / "kept" / "notes").write_text("x")
    found = [
        (first, last, record.part("keeper").array("ids", np.int64, None).tolist())
        for first, last, record in journal.kept()
    ]
    assert found == [(0, 5, [0, 1, 2, 3, 4]), (5, 6, [5]), (6, 9, [6, 7, 8])], "what does not follow is left"
    assert (journal.folder / "kept" / f"{0:019d}-{5:019d}").is_file()
    (journal.folder / "kept" / f"{5:019d}-{6:019d}").write_bytes(b"damage")
    with pytest.raises(RecordError, match="is damaged; delete it and what comes after it"):
        list(journal.kept())
    (journal.folder / "kept" / f"{5:019d}-{6:019d}").unlink()
    stretch(journal, 5, 5)
    with pytest.raises(RecordError, match="is not named by its first and last design"):
        list(journal.kept())


def test_the_way_to_go_on_names_what_must_be_agreed_to(journal):
    model = {"model": {"command": ["./run"], "metrics": {"noise_db": "dB"}}}
    kept = {"search": {"sampler": "tpe", "n_designs": 8, "storage": "journal:study.log"}}
    for options, changes in (
        ("", {}),
        (" --call-model", model),
        (" --open-storage", kept),
        (" --call-model --open-storage", model | kept),
    ):
        (journal.folder / "search.json").unlink()
        Journal.begin(journal.folder, {}, parse_spec(tiny(**changes)))
        with pytest.raises(RunError) as refused:
            Journal.begin(journal.folder, {}, parse_spec(tiny()))
        assert str(refused.value).endswith(f"go on with: dse resume {journal.folder}{options}")
    (journal.folder / "spec").write_bytes(b"damage")
    with pytest.raises(RunError, match=r"dse resume \S+$"):
        Journal.begin(journal.folder, {}, parse_spec(tiny()))


def test_stretches_may_begin_behind_others(journal):
    stretch(journal, 7, 9)
    stretch(journal, 9, 12)
    assert [(first, last) for first, last, _ in journal.kept()] == [(7, 9), (9, 12)]


def test_of_samplers_only_the_last_stays(journal):
    for first, last in ((0, 5), (5, 9), (9, 100)):
        stretch(journal, first, last, f"told of {last}".encode())
    assert [path.name for path in (journal.folder / "sampler").iterdir()] == [f"{100:019d}"]
    assert journal.sampler_at(100) == b"told of 100"
    with pytest.raises(RunError, match="is missing; delete"):
        journal.sampler_at(9)


def test_a_search_is_begun_once_and_locked_once(journal):
    spec = parse_spec(tiny())
    with pytest.raises(RunError, match=r"an unfinished run is there; go on with: dse resume \S+run\.unfinished$"):
        Journal.begin(journal.folder, {}, spec)
    with journal.locked(), pytest.raises(RunError, match="another process is at this run"), journal.locked():
        pass
    with journal.locked():
        pass
    (journal.folder / "search.json").unlink()
    (journal.folder / "old").write_text("")
    again = Journal.begin(journal.folder, {"started": 1}, spec)
    assert not (journal.folder / "old").exists(), "what has no header was never begun"
    with pytest.raises(RunError, match="started is not text"):
        _ = again.header
    again.remove()
    assert not journal.folder.exists()
    (journal.folder.parent / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made"):
        Journal.begin(journal.folder.parent / "file" / "x", {}, spec)


def test_an_unfinished_run_is_found_by_its_names(tmp_path):
    spec, made = parse_spec(tiny()), {}
    for name in ("one/20260101", "one/20260103", "two/20260102"):
        made[name] = unfinished(tmp_path / name)
        Journal.begin(made[name], {}, spec)
    newest, other = made["one/20260103"], made["two/20260102"]
    assert find_unfinished(newest, results=tmp_path) == newest
    assert find_unfinished(tmp_path / "two" / "20260102", results=tmp_path) == other
    assert find_unfinished(tmp_path / "two", results=tmp_path) == other
    assert find_unfinished(tmp_path, results=tmp_path / "x") == find_unfinished("latest", results=tmp_path) == newest
    assert find_unfinished(tmp_path / "three", results=tmp_path) is None
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "search.json").write_text("{}")
    assert find_unfinished(tmp_path / "plain", results=tmp_path) is None


# --- tables of conditions ---------------------------------------------------------------------------------------------


SIZES = (3, 4, 5)


def test_a_margin_is_found_by_the_places_of_its_groups():
    margins = np.arange(15.0)
    one = MarginTable("c", (0, 2), (3, 5), margins)
    rng = np.random.default_rng(0)
    places = [rng.integers(0, size, 30) for size in SIZES]
    assert one.at(places).tolist() == [margins[5 * i + k] for i, k in zip(places[0], places[2], strict=True)]
    assert MarginTable("none", (), (), np.array([0.5])).at(places).tolist() == 0.5


def made_tables(least_gain=16):
    """Conditions on a grid of 3 x 4 x 5: of the last group, of two, of all, of none, and one that nothing breaks."""
    spread = Parallelism(chunk_rows=7, least_gain=least_gain)

    def grid_at(places):
        assert all(
            np.asarray(one).min() >= 0 and np.asarray(one).max() < size for one, size in zip(places, SIZES, strict=True)
        )
        return dict(zip("abc", [np.asarray(one, float) for one in places], strict=True))

    def margins(d):
        return {"last": 1.5 - d["c"], "two": d["a"] - d["c"], "whole": 2 - d["a"] * d["b"] * d["c"],
                "none": np.array([-0.25]), "kept": 9 - d["c"],
                # Hangs on the first group where the second is at neither of its ends only.
                "middle": np.where((d["b"] == 1) | (d["b"] == 2), 1.5 - d["a"], 0.5)}  # fmt: skip

    def grid_places(ids):
        return [np.asarray(one) for one in np.unravel_index(ids, SIZES)]

    space = SimpleNamespace(
        grid_groups=[(("a",), 3), (("b",), 4), (("c",), 5)], grid_at=grid_at, grid_places=grid_places,
        grid=lambda first, last: grid_at(grid_places(np.arange(first, last))),
    )  # fmt: skip

    def evaluate(designs, metrics=()):
        n = max(map(len, designs.values()))
        found = {label: np.broadcast_to(one, n) for label, one in margins(designs).items()}
        return Evaluation({}, found, np.zeros((n, 1)), np.ones(n, bool))

    evaluator = SimpleNamespace(evaluate=evaluate, margins=margins)
    tally = SimpleNamespace(axes=("a", "c"), begin=lambda rows: None, codes=lambda axis, column: column.astype(int) + 1)
    return Tables(space, evaluator, tally, spread)


def test_conditions_are_tables_of_the_groups_that_they_depend_on(monkeypatch):
    tables = made_tables(least_gain=4)
    found = {table.label: (table.groups, table.sizes, table.margins.tolist()) for table in tables._tables}
    assert set(found) == {"last", "two", "none", "middle"}, "the whole grid is no gain, and nothing breaks the last"
    assert found["last"] == ((2,), (5,), [1.5, 0.5, -0.5, -1.5, -2.5]) and found["none"] == ((), (), [-0.25])
    hangs = [1.5 - a if b in (1, 2) else 0.5 for a in range(3) for b in range(4)]
    assert found["middle"] == ((0, 1), (3, 4), hangs)
    assert found["two"] == ((0, 2), (3, 5), [a - c for a in range(3) for c in range(5)])
    assert tables and "last (5 combinations), two (15 combinations), none (1 combinations)" in tables.describe()[0]
    # 60 designs: 12 for each of 5 combinations, 4 for each of 15, 60 for one.
    for gain, labels in (
        (4, {"last", "two", "none", "middle"}),
        (5, {"last", "none", "middle"}),
        (12, {"last", "none"}),
        (13, {"none"}),
        (61, set()),
    ):
        assert {table.label for table in made_tables(gain)._tables} == labels
    monkeypatch.setattr("dse.search.pruning.MAX_COMBINATIONS", 5)
    assert {table.label for table in made_tables(1)._tables} == {"last", "none"}
    monkeypatch.setattr("dse.search.pruning.MAX_COMBINATIONS", 4)
    assert {table.label for table in made_tables(1)._tables} == {"none"}
    nothing = made_tables(61)
    assert not nothing and nothing.describe() == (
        "prune: no condition of few parameters is broken, so every design was evaluated",
    )


def test_what_a_condition_hangs_on_is_looked_for_at_four_places_of_the_other_groups():
    tables = made_tables()
    asked, margins = [], tables._evaluator.margins

    def noted(designs):
        asked.append({name: column.tolist() for name, column in designs.items()})
        return margins(designs)

    tables._evaluator.margins = noted
    assert tables._dependence() == {
        "last": (2,), "two": (0, 2), "whole": (0, 1, 2), "none": (), "kept": (2,), "middle": (0, 1),
    }  # fmt: skip
    shares = (0.0, 0.37, 0.71, 1.0)
    expected = []
    for group, size in zip("abc", SIZES, strict=True):
        others = [(name, other) for name, other in zip("abc", SIZES, strict=True) if name != group]
        for share in shares:
            expected.append({group: list(range(size)), **{name: [int(share * (other - 1))] for name, other in others}})
    assert asked == expected
    tables._sizes = (3, 1, 5)
    tables._space.grid_at = lambda places: dict(zip("abc", [np.asarray(one, float) for one in places], strict=True))
    asked.clear()
    tables._dependence()
    assert len(asked) == 2 * 4, "a group of one row decides nothing"


@pytest.mark.parametrize(("first", "last", "stride"), [(0, 60, 0), (0, 60, 8), (7, 43, 8), (8, 43, 8), (3, 4, 2)])
def test_designs_are_decided_but_for_every_kth(first, last, stride):
    tables = made_tables(least_gain=5)
    tables._tables = tuple(table for table in tables._tables if table.label == "last")
    ids, decided = tables.split(first, last, stride)
    places = tables._space.grid_places(np.arange(first, last))
    broken = [i for i in range(first, last) if 1.5 - places[2][i - first] < 0 and not (stride and i % stride == 0)]
    assert ids.tolist() == [i for i in range(first, last) if i not in broken]
    assert decided.margins["last"].tolist() == [1.5 - places[2][i - first] for i in broken]
    assert decided.codes["a"].tolist() == [places[0][i - first] + 1 for i in broken]
    assert decided.codes["c"].tolist() == [places[2][i - first] + 1 for i in broken] and set(decided.codes) == {
        "a",
        "c",
    }


@pytest.mark.parametrize(("apart", "fine"), [(0.0, True), (0.9e-9, True), (1.1e-9, False)])
def test_evaluated_designs_have_the_margins_of_the_tables(apart, fine):
    tables = made_tables(least_gain=5)
    ids = np.arange(60)
    found = tables._evaluator.evaluate(tables._space.grid(0, 60))
    found.margins["last"] = found.margins["last"] + apart
    if fine:
        tables.check(ids, found)
    else:
        with pytest.raises(AssertionError, match="last depends on more than c"):
            tables.check(ids, found)

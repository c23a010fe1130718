"""A search followed step by step: what is kept and told after every stretch, gone on with, added and extended."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dse.errors import RunError
from dse.packing import packed, read_packed
from dse.parallelism import Parallelism
from dse.samplers.chain import Chain
from dse.search import allocator, blocks, engine, estimate
from dse.search.blocks import SearchContext
from dse.search.engine import Search, extended
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import tiny

SMALL = Parallelism(block_rows=16, chunk_rows=8)


def sweep(sampler="random", count=40, **search):
    return parse_spec(tiny(search={"sampler": sampler, "n_designs": count, "seed": 2, **search}))


class Disk:
    """A journal in memory."""

    def __init__(self, start=b"", kept=(), samplers=()):
        self.start, self.stretches, self.samplers = start or None, list(kept), dict(samplers)
        self.is_empty, self.folder, self.added = not (start or kept), SimpleNamespace(), []

    def set_start(self, state):
        self.added.append(("start", state))

    def add(self, first, last, keeper, parts, sampler):
        self.added.append((first, last, sampler is not None))
        record = read_packed(packed({"keeper": keeper.state(), "parts": dict(parts)}), "it")
        self.stretches.append((first, last, record))
        self.samplers[last] = sampler

    def kept(self):
        return iter(self.stretches)

    def sampler_at(self, place):
        return self.samplers[place]


def found(search):
    """What a search has kept, but for times."""
    keeper = search._keeper
    front = None if keeper.front is None else keeper.front.ids.tolist()
    return search.evaluated, front, keeper.sample.rows().ids.tolist(), repr(keeper.tally.constraints())


def test_a_stream_is_kept_block_by_block_and_gone_on_with():
    disk, spec = Disk(), sweep()
    search = Search(spec, spread=replace(SMALL, keep_every_s=-1.0), journal=disk)
    steps = search.steps()
    assert [next(steps).evaluated, next(steps).evaluated] == [8, 16] and search.evaluated == 16
    assert [one.evaluated for one in steps] == [24, 32, 40] and {one.planned for one in search.history} == {40}
    assert disk.added == [("start", None), *((first, first + 8, False) for first in range(0, 40, 8))]
    feasible = [one.feasible for one in search.history]
    assert feasible == sorted(feasible) and search.history[-1].front == len(found(search)[1])
    whole = found(search)
    seldom = Search(spec, spread=replace(SMALL, keep_every_s=1e9), journal=(once := Disk()))
    assert [one.evaluated for one in seldom.steps()] == [8, 16, 24, 32, 40]
    assert once.added[1:] == [(0, 40, False)] and found(seldom) == whole == found(Search(spec, journal=once))
    part = Disk(kept=disk.stretches[:2])
    again = Search(spec, spread=Parallelism(block_rows=5, chunk_rows=3), journal=part)
    assert again.evaluated == 16 and [one.evaluated for one in again.steps()][-1] == 40
    assert found(again) == whole and part.added == [(16, 40, False)]
    state = search.state()
    on = Search(sweep(count=48), spread=SMALL, start=state)
    assert on.evaluated == 40 and [one.evaluated for one in on.steps()] == [48]
    assert list(Search(spec, spread=SMALL, start=state).steps()) == []
    with pytest.raises(RunError, match="40 designs have been searched already; n_designs must be more"):
        Search(sweep(count=39), spread=SMALL, start=state)
    behind = Disk(start=state, kept=[*disk.stretches[:1], (40, 48, disk.stretches[0][2])])
    assert Search(sweep(count=64), spread=SMALL, journal=behind).evaluated == 48, "what comes before is known"
    behind.stretches[1] = (41, 48, disk.stretches[0][2])
    behind.folder = "here"
    with pytest.raises(RunError, match="here: designs 40 to 41 are missing"):
        Search(sweep(count=64), spread=SMALL, journal=behind)


def test_what_another_search_has_found_follows_behind():
    one, other = Search(sweep(count=10), spread=SMALL), Search(sweep(count=7, seed=3), spread=SMALL)
    for search in (one, other):
        list(search.steps())
    stride = max(one._keeper.sample.stride, 1)
    one.add(other.state())
    assert one.evaluated == -(-10 // stride) * stride + 7 and one._keeper.tally.evaluated == 17
    record = read_packed(other.state(), "it")
    assert one._seconds >= record.number("seconds", low=0, high=1e12)
    none = tiny(search={"sampler": "random", "n_designs": 3}, results={"keep_all_up_to": 0})
    bare = [Search(parse_spec(none), spread=SMALL) for _ in range(2)]
    for search in bare:
        list(search.steps())
    bare[0].add(bare[1].state())
    assert bare[0]._keeper.sample.stride == 0 and bare[0].evaluated == 6
    # Every fourth design is kept: the next begins at a multiple of it.
    one._keeper.sample.stride = 4
    one._place = 9
    taken = []
    one._keeper.merge = lambda keeper, offset: taken.append(offset)
    one.add(other.state())
    assert taken == [12] and one.evaluated == 19


def test_a_sampler_that_learns_is_kept_every_now_and_then():
    """Batches of 10, generations of 6: every ask gives what is left of a generation."""
    spec = sweep("evolve", 24, batch_size=10, options={"population": 6})
    often = [one.evaluated for one in Search(spec, spread=SMALL).steps()]
    assert often == [6, 12, 18, 24]
    disk = Disk()
    seldom = Search(spec, spread=Parallelism(chunk_rows=4, keep_every_s=1e9), journal=disk)
    assert [one.evaluated for one in seldom.steps()] == [24] and disk.added[1:] == [(0, 24, True)]
    disk = Disk()
    always = Search(spec, spread=Parallelism(chunk_rows=4, keep_every_s=-1.0), journal=disk)
    assert [one.evaluated for one in always.steps()] == [6, 12, 18, 24]
    assert disk.added[1:] == [(0, 6, True), (6, 12, True), (12, 18, True), (18, 24, True)]
    assert found(always) == found(seldom)
    part = Disk(kept=disk.stretches[:2], samplers=disk.samplers)
    again = Search(spec, spread=Parallelism(keep_every_s=-1.0), journal=part)
    assert again.evaluated == 12 and [one.evaluated for one in again.steps()] == [18, 24]
    assert found(again) == found(always)
    on = Search(sweep("evolve", 30, batch_size=10, options={"population": 6}), spread=SMALL, start=again.state())
    assert [one.evaluated for one in on.steps()] == [30] and on.history[0].planned == 30
    state = again._work.sampler.state()
    with pytest.raises(RunError, match="24 designs have been searched already"):
        extended(sweep("evolve", 23, options={"population": 6}), Space(spec), 24, state)
    assert extended(spec, Space(spec), 24, state).total == 24


def test_a_chain_hands_on_what_its_stream_has_found():
    spec = sweep("sobol+evolve", 32, batch_size=10, options={"shares": [0.5, 0.5], "evolve": {"population": 8}})
    search = Search(spec, spread=SMALL)
    assert isinstance(search._work.sampler, Chain)
    assert [one.evaluated for one in search.steps()] == [8, 16, 24, 32]
    whole = found(search)
    alone = Search(spec, spread=Parallelism(block_rows=4, chunk_rows=3))
    list(alone.steps())
    assert found(alone) == whole
    seeds = SearchContext(spec, SMALL).keep_block(0, 16).seeds
    assert seeds is not None and SearchContext(sweep(), SMALL).keep_block(0, 8).seeds is None


def test_a_block_is_cut_into_pieces_by_place(monkeypatch):
    work = SearchContext(sweep(), Parallelism(block_rows=16, chunk_rows=5))
    sizes = []
    judge = work.judge
    monkeypatch.setattr(work, "judge", lambda designs: sizes.append(designs.rows) or judge(designs))
    block = work.keep_block(3, 16)
    assert sizes == [5, 5, 3] and block.keeper.sample.rows().ids.tolist() == list(range(3, 16))
    assert set(block.parts) == set(blocks.PARTS) and min(block.parts.values()) >= 0
    assert (
        work.is_stream
        and not SearchContext(sweep("evolve")).is_stream
        and SearchContext(sweep("evolve")).stream is None
    )
    chain = SearchContext(sweep("sobol+evolve", 32))
    assert not chain.is_stream and chain.stream is chain.sampler.first


def test_times_of_a_state_are_not_below_zero():
    record = read_packed(packed({"parts": {"sample": 1.0, "evaluate": 0.0, "keep": 2.5}}), "it")
    assert engine._parts(record) == {"sample": 1.0, "evaluate": 0.0, "keep": 2.5}
    with pytest.raises(RunError):
        engine._parts(read_packed(packed({"parts": {"sample": -1.0, "evaluate": 0.0, "keep": 2.5}}), "it"))


def test_probes_are_multiples_of_roots(monkeypatch):
    points = []
    spec = sweep(count=10)
    space = Space(spec)
    monkeypatch.setattr(space, "decode", lambda unit: points.append(unit) or SimpleNamespace(rows=len(unit)))
    estimate.seconds_estimate(spec, space, SimpleNamespace(evaluate=lambda designs, metrics: None))
    assert [len(unit) for unit in points] == [64, 2048]
    for unit in points:
        for row in (0, 1, 2, 63):
            for column in range(len(space.dimensions)):
                assert unit[row, column] == pytest.approx((row + 1) * math.sqrt(2) * math.exp(column / 7) % 1, abs=1e-9)


def test_a_call_that_costs_less_than_its_designs_costs_nothing(monkeypatch):
    # 64 designs in 10 ms and 2048 in 1994: a millisecond each, and nothing for the call.
    times = iter([0.0, 0.010, 0.010, 0.060, 0.060, 2.054, 2.054, 9.0])
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(times))
    spec = sweep(count=100, batch_size=10)
    evaluator = SimpleNamespace(evaluate=lambda designs, metrics: None)
    assert estimate.seconds_estimate(spec, Space(spec), evaluator) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("platform", "gnu", "answers", "told"),
    [
        ("linux", True, (1, 1), True), ("linux", True, (1, 0), False), ("linux", True, (0, 1), False),
        ("linux", False, (1, 1), False), ("darwin", True, (1, 1), False),
    ],
)  # fmt: skip
def test_freed_memory_is_kept_where_the_library_can_be_told(platform, gnu, answers, told, monkeypatch):
    asked, left = [], list(answers)

    def mallopt(what, value):
        asked.append((what, value))
        return left.pop(0)

    library = SimpleNamespace(mallopt=mallopt, **({"gnu_get_libc_version": None} if gnu else {}))
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(allocator.sys, "platform", platform)
    assert allocator.keep_freed_memory.__wrapped__() is told
    # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of <malloc.h>; 32 MiB is the most that the first takes.
    assert asked == ([(-3, 32 * 2**20), (-1, 256 * 2**20)][: 1 + answers[0]] if gnu and platform == "linux" else [])


def test_of_a_pruned_block_what_is_left_is_evaluated_in_whole_pieces(monkeypatch):
    def context(prune, chunk_rows=50, keep=0):
        search = {"sampler": "grid", "options": {"prune": prune}}
        spec = parse_spec(tiny(search=search, results={"keep_all_up_to": keep}))
        return SearchContext(spec, Parallelism(chunk_rows=chunk_rows, least_gain=1))

    work, plain = context(True), context(False)
    size = work.space.grid_size
    assert work.tables and plain.tables is None and context(True, keep=size).tables is None
    sizes, judge = [], work.judge
    monkeypatch.setattr(work, "judge", lambda designs: sizes.append(designs.rows) or judge(designs))
    block, whole = work.keep_block(0, size), plain.keep_block(0, size)
    left = size - block.keeper.tally.decided
    assert 0 < left < size and sizes == [50] * (left // 50) + [left % 50] * (left % 50 > 0)
    assert block.keeper.tally.evaluated == whole.keeper.tally.evaluated == size
    assert block.keeper.tally.feasible == whole.keeper.tally.feasible > 0
    assert block.keeper.front.ids.tolist() == whole.keeper.front.ids.tolist()
    merged = work.keep_block(0, 130).keeper
    merged.merge(work.keep_block(130, size).keeper)
    assert merged.front.ids.tolist() == whole.keeper.front.ids.tolist() and merged.tally.decided == size - left
    assert "were not evaluated" in work.describe()[-1] and plain.describe() == ()
    assert "prune: every design is kept, so every design was evaluated" in context(True, keep=size).describe()

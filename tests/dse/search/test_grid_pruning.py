"""A grid of which parts are decided without evaluation gives what the whole grid gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.errors import SpecError
from dse.front import nondominated
from dse.parallelism import Parallelism
from dse.runs import explore, run
from dse.search.blocks import SearchContext
from dse.sweep import load_spec, parse_spec
from tests import sweeps

MEMORIES = {"lpddr5x_9600": [8, 16], "gddr6_16": [1, 2], "hbm3": [16, 24]}


def sweep(*, prune=True, keep=0, **changes):
    """A grid whose memory is too small for the model in some designs, and whose formats lose too much in others."""
    memories = changes.pop("memories", list(MEMORIES))
    devices, clocks = changes.pop("devices", [1, 2, 4, 8]), changes.pop("clocks", [0.6, 1.0, 1.9])
    limit, worst = changes.pop("limit_w", 150), changes.pop("worst", 1.1)
    formats = changes.pop("formats", ["int4_g128", "vector_2bit", "bf16"])
    return parse_spec(
        {
            "name": "cut",
            "workloads": sweeps.SHORT_CHAT,
            "space": {
                "memory": {"values": memories},
                "memory_devices": {"values": devices},
                "memory_device_gib": [
                    {"values": MEMORIES[memory], "when": {"memory": [memory]}} for memory in memories
                ],
                "macs": {"low": 8192, "high": 131072, "log": True, "levels": 5},
                "clock_ghz": {"values": clocks},
                "weight_format": {"values": formats},
                "kv_bits": {"values": [4, 16]},
            },
            "objectives": [
                {"metric": "chat.tpot_ms", "direction": "minimize"},
                {"metric": "chat.tokens_per_joule", "direction": "maximize"},
            ],
            "constraints": [
                {"metric": "chat.tpot_ms", "max": 60},
                {"metric": "tdp_w", "max": f"{limit} W"},
                {"metric": "chat.perplexity_ratio", "max": worst},
            ],
            "results": {"keep_all_up_to": keep},
            "search": {"sampler": "grid", "options": {"prune": prune}},
            **changes,
        }
    )


SMALL = Parallelism(block_rows=300, chunk_rows=128, least_gain=2)


def ids(rows):
    return [] if rows is None else rows.ids.tolist()


def some(values, least=1):
    return st.lists(st.sampled_from(values), min_size=least, max_size=len(values), unique=True)


@settings(deadline=None, max_examples=10)
@given(
    some(list(MEMORIES)),
    some([1, 2, 3, 4, 8, 16], 2),
    some([0.6, 1.0, 1.9, 2.4], 2),
    some(["int4_g128", "vector_2bit", "bf16", "fp8"], 2),
    st.sampled_from([5, 60, 150, 400]),
    st.sampled_from([1.001, 1.05, 1.1, 3.0]),
    st.sampled_from([0, 50]),
)
def test_what_is_found_is_what_brute_force_finds(memories, devices, clocks, formats, limit_w, worst, keep):
    changes = {
        "memories": memories, "devices": sorted(devices), "clocks": sorted(clocks), "formats": formats,
        "limit_w": limit_w, "worst": worst, "keep": keep,
    }  # fmt: skip
    cut, whole = (explore(sweep(prune=prune, **dict(changes)), spread=SMALL) for prune in (True, False))
    assert whole.decided == 0 and cut.evaluated == whole.evaluated and cut.feasible == whole.feasible
    assert ids(cut.front) == ids(whole.front) and ids(cut.sample) == ids(whole.sample)
    assert {name: ids(rows) for name, rows in cut.top.items()} == {name: ids(rows) for name, rows in whole.top.items()}
    for one, other in zip(cut.values, whole.values, strict=True):
        same = ("axis", "value", "evaluated", "feasible")
        assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
        ends = [(value.feasible_low, value.feasible_high) for value in (one, other)]
        assert np.array_equal(*ends, equal_nan=True)
    assert_counts_agree(cut, whole)


def assert_counts_agree(cut, whole):
    """Constraints that were looked at are counted as by brute force; the others over what was evaluated."""
    histograms = [
        {label: [count for count in outcome.margins if count.constraint == label] for label in labels_of(outcome)}
        for outcome in (cut, whole)
    ]
    brute = {count.constraint: count for count in whole.constraints}
    for count in cut.constraints:
        same = brute[count.constraint]
        if count.evaluated == whole.evaluated:
            assert (count.violated, count.missing) == (same.violated, same.missing) or cut.decided == 0
            assert count.best_margin == pytest.approx(same.best_margin, nan_ok=True)
            if not same.missing:
                assert histograms[0][count.constraint] == histograms[1][count.constraint]
        else:
            assert count.evaluated == whole.evaluated - cut.decided and count.violated <= same.violated
        assert count.tightest_margin == pytest.approx(same.tightest_margin, nan_ok=True)


def labels_of(outcome):
    return [count.constraint for count in outcome.constraints]


def test_designs_are_decided_and_the_outcome_says_so(tmp_path):
    done = run(sweep(), out=tmp_path / "cut", spread=SMALL)
    counts = done.manifest["counts"]
    assert 0.3 * counts["evaluated"] < counts["decided"] < counts["evaluated"]
    notes = " ".join(done.manifest["notes"])
    assert "chat.perplexity_ratio <= 1.1 (6 combinations)" in notes and "chat.capacity" in notes
    from dse.render.terminal.summary import found

    assert "decided without evaluation" in " ".join(found(done))


def test_brute_force_over_every_design_agrees():
    spec = sweep()
    work = SearchContext(spec)
    result = work.judge(work.space.grid(0, work.space.grid_size))
    good = np.flatnonzero(result.feasible)
    assert len(good) > 0
    outcome = explore(spec, spread=SMALL)
    assert outcome.decided > 0 and outcome.feasible == len(good)
    assert ids(outcome.front) == good[nondominated(result.objectives[good])].tolist()
    for place, rows in enumerate(outcome.top.values()):
        best = good[np.lexsort((good, result.objectives[good, place]))]
        assert ids(rows) == best[: len(rows)].tolist()


def test_processes_and_blocks_have_no_influence(tmp_path):
    one = run(sweep(keep=100), out=tmp_path / "one", spread=SMALL)
    assert one.manifest["counts"]["feasible"] > 0 and len(one.front) > 0
    pieces = Parallelism(jobs=2, block_rows=77, chunk_rows=20, least_gain=2)
    other = run(sweep(keep=100), out=tmp_path / "other", spread=pieces)
    for name in ("pareto.csv", "top.csv", "picks.yaml", "constraints.csv", "margins.csv", "axes.csv"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert one.designs.equals(other.designs)


def test_nothing_is_left_out_where_every_design_is_kept():
    outcome = explore(sweep(keep=10_000), spread=SMALL)
    assert outcome.decided == 0 and "every design is kept" in " ".join(outcome.notes)


def test_everything_may_be_left_out():
    outcome = explore(sweep(worst=1, formats=["int4_g128", "vector_2bit"]), spread=SMALL)
    assert outcome.decided == outcome.evaluated > 0 and outcome.front is None and not outcome.feasible


def test_a_chain_needs_every_design():
    search = {"sampler": "grid+evolve", "n_designs": 4000, "options": {"grid": {"prune": True}}}
    with pytest.raises(SpecError, match="must be told of every design"):
        explore(sweep(search=search), spread=SMALL)


def test_a_table_that_forgets_a_parameter_is_found_out():
    work = SearchContext(sweep(), SMALL)
    tables = work.tables
    object.__setattr__(tables._tables[0], "margins", tables._tables[0].margins + 1.0)
    ids = np.arange(10)
    with pytest.raises(AssertionError, match="depends on more than"):
        tables.check(ids, work.judge(work.space.grid(0, 10)))


def test_the_sweep_of_a_hundred_million_designs_has_that_many():
    work = SearchContext(load_spec("sweeps/mach1_100m.yaml"))
    assert work.space.grid_size > 100e6
    ids, decided = work.tables.split(50_000_000, 50_016_384, 1024)
    assert len(ids) + len(decided) == 16_384 and len(decided) > 8_000
    result = work.judge(work.space.grid(50_000_000, 50_016_384))
    assert set((np.flatnonzero(result.feasible) + 50_000_000).tolist()) <= set(ids.tolist())

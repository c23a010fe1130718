import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.table import INACTIVE, Choice, Table
from dse.evaluator import Evaluation
from dse.results.rows import Rows
from dse.results.statistics.axes import Binning, binning_of
from dse.results.statistics.counts import NO_OBJECTIVE, Statistics
from dse.results.statistics.patterns import distinct_patterns, removing

LEVELS = np.array([1.0, 2.0, 4.0])
LABELS = ("speed", "power", "size")
masks = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60)


def rows_of(broken, *, seed=0, first=0, missing=None, objective=0):
    """Rows that break the constraints that `broken` says; axes are drawn at random."""
    rng = np.random.default_rng(seed)
    broken = np.asarray(broken, dtype=bool).reshape(-1, len(LABELS))
    n = len(broken)
    size = rng.uniform(0.1, 1.0, broken.shape)
    margins = np.where(broken, -size, size)
    objectives = rng.uniform(size=(n, 2))
    if missing is not None:
        objectives[np.asarray(missing), objective] = np.nan
    feasible = ~broken.any(axis=1) & np.isfinite(objectives).all(axis=1)
    designs = {
        "memory": Choice(("lpddr", "hbm"), rng.integers(INACTIVE, 2, n)),
        "macs": np.where(rng.random(n) < 0.1, np.nan, LEVELS[rng.integers(0, 3, n)]),
    }
    evaluation = Evaluation({}, dict(zip(LABELS, margins.T, strict=True)), objectives, feasible)
    return Rows(np.arange(first, first + n, dtype=np.int64), Table(designs), evaluation)


def tallied(rows, cuts=()):
    tally = Statistics(("memory", "macs"), {"macs": Binning(LEVELS, np.empty(0))})
    for part in np.split(np.arange(len(rows)), sorted(cuts)):
        if len(part):
            tally.add(rows.take(part))
    return tally


@given(masks, st.integers(0, 5))
def test_constraints_are_counted_as_one_would_by_hand(broken, seed):
    rows = rows_of(broken, seed=seed)
    tally = tallied(rows)
    counts = {count.constraint: count for count in tally.constraints()}
    assert list(counts) == list(LABELS), "nothing lacks an objective here"
    for place, label in enumerate(LABELS):
        others = [any(row[:place] + row[place + 1 :]) for row in broken]
        margins = rows.evaluation.margins[label]
        met = margins[rows.evaluation.feasible]
        assert counts[label].violated == sum(row[place] for row in broken)
        assert counts[label].sole_cause == sum(
            row[place] and not other for row, other in zip(broken, others, strict=True)
        )
        assert counts[label].best_margin == margins.max()
        assert counts[label].tightest_margin == pytest.approx(met.min() if len(met) else np.nan, nan_ok=True)
    assert tally.feasible == sum(not any(row) for row in broken)


@given(masks, st.integers(0, 5))
def test_every_value_of_every_axis_is_counted_once(broken, seed):
    rows = rows_of(broken, seed=seed)
    feasible = rows.evaluation.feasible
    names = rows.designs["memory"].names()
    macs = rows.designs["macs"]
    for count in tallied(rows).values():
        if count.axis == "memory":
            here = np.array([name == (None if count.value == "inactive" else count.value) for name in names])
        else:
            here = np.isnan(macs) if count.value == "inactive" else macs == count.low
        assert (count.evaluated, count.feasible) == (here.sum(), (here & feasible).sum())
        assert bool(count.removed_by) == (count.feasible == 0)
        broken_here = np.array(broken)[here]
        blamed = [LABELS.index(remover.constraint) for remover in count.removed_by]
        for place, remover in zip(blamed, count.removed_by, strict=True):
            assert remover.share == broken_here[:, place].mean()
        if blamed:
            assert broken_here[:, blamed].any(axis=1).all(), "what is blamed must explain every design"


@given(masks, st.lists(st.integers(1, 59), max_size=4))
def test_pieces_give_what_the_whole_gives(broken, cuts):
    rows = rows_of(broken)
    whole, pieces = tallied(rows), tallied(rows, [cut for cut in cuts if cut < len(rows)])
    assert repr(whole.constraints()) == repr(pieces.constraints())
    assert repr(whole.values()) == repr(pieces.values())


@pytest.mark.parametrize("objective", [0, 1])
def test_a_missing_objective_is_a_cause_of_its_own(objective):
    tally = tallied(rows_of([(False,) * 3] * 4, missing=[True, True, False, False], objective=objective))
    (missing,) = [count for count in tally.constraints() if count.constraint == NO_OBJECTIVE]
    assert (missing.violated, missing.sole_cause, tally.feasible) == (2, 2, 2)


def test_removing_names_every_constraint_that_breaks_all_else_a_cover():
    def removed(*patterns):
        return removing(
            np.array([[place in broken for place in range(3)] for broken, _ in patterns]),
            np.array([count for _, count in patterns]),
        )

    assert removed(({0, 1}, 5), ({0, 1, 2}, 2)) == {0: 7, 1: 7}
    assert removed(({0}, 5), ({1}, 3), ({1, 2}, 1)) == {0: 5, 1: 4}
    assert removed(({2}, 1)) == {2: 1}


@given(st.integers(1, 130), st.integers(0, 3))
def test_patterns_hold_for_any_number_of_constraints(width, seed):
    broken = np.random.default_rng(seed).random((20, width)) < 0.1
    patterns, which = distinct_patterns(list(broken.T))
    assert len(np.unique(patterns, axis=0)) == len(patterns)
    assert (patterns[which] == broken).all()


def test_intervals_hold_their_ends_and_tell_the_feasible_range():
    binning = Binning(np.empty(0), np.array([1.0, 2.0, 4.0]))
    assert list(binning.codes(np.array([1.0, 1.9, 2.0, 4.0, np.nan]))) == [0, 0, 1, 1, INACTIVE]
    rows = rows_of([(False,) * 3, (False,) * 3, (True, False, False)])
    rows.designs["macs"][:] = [1.2, 1.7, 3.0]
    tally = Statistics(("macs",), {"macs": binning})
    tally.add(rows)
    low, high = tally.values()
    assert (low.feasible_low, low.feasible_high, low.value) == (1.2, 1.7, "1 to 2")
    assert np.isnan(high.feasible_low) and high.removed_by[0].constraint == "speed"


def test_a_space_says_how_its_axes_are_cut():
    from dse.space import Space
    from dse.sweep import parse_spec

    spec = parse_spec(
        {
            "name": "cuts",
            "workloads": {"chat": {"model": "llama3_8b"}},
            "space": {
                "memory_devices": {"low": 2, "high": 24},
                "macs": {"low": 4096, "high": 65536, "log": True, "levels": 5},
                "clock_ghz": {"low": 0.5, "high": 1.5},
                "sram_mib": {"low": 8, "high": 256, "log": True, "levels": 100},
            },
            "objectives": [{"metric": "tdp_w", "direction": "minimize"}],
            "search": {"sampler": "sobol", "n_designs": 8},
        }
    )
    cut = {name: binning_of(Space(spec).parameters[name]) for name in spec.space}
    assert list(cut["memory_devices"].levels) == list(range(2, 25))
    assert list(cut["macs"].levels) == [4096, 8192, 16384, 32768, 65536]
    assert cut["clock_ghz"].edges[[0, -1]] == pytest.approx([0.5, 1.5])
    assert np.ptp(np.diff(cut["clock_ghz"].edges)) == pytest.approx(0, abs=1e-12)
    assert cut["sram_mib"].edges[[0, -1]] == pytest.approx([8, 256])
    assert np.ptp(np.diff(np.log(cut["sram_mib"].edges))) == pytest.approx(0, abs=1e-12)

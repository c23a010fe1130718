"""The best single change of a design whose metrics are made up."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.quantities.metrics import METRICS
from cost_models.table import Table
from dse.analysis.require.changes import STEPS, VIOLATION, _best, _moved, best_changes
from dse.evaluator import Evaluation
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import tiny

LIBRARY = shipped_library()


class Made:
    """MACs cost and are fast, air cools 8 W in place of 10; no more than 2048 MACs are allowed, and 400 at least."""

    technology = SimpleNamespace(library=LIBRARY)
    spec = SimpleNamespace(
        objectives=[SimpleNamespace(metric=name) for name in ("cost_usd", "chat.tpot_ms", "macs")],
        workloads={"chat": None},
        metrics={**METRICS, "macs": SimpleNamespace(better=None)},
    )

    def evaluate(self, designs):
        table = Table(designs)
        macs, air = table["macs"], table["cooling"].names() == "air"
        margins = {"limit": 1 - macs / 2048}
        metrics = {
            "cost_usd": macs / 1024, "chat.tpot_ms": 1e4 / macs, "chat.tokens_per_joule": np.full(table.rows, 5.0),
            "chat.tokens_per_s_end_to_end": macs, "tdp_w": np.where(air, 8.0, 10.0), "die_mm2": macs / 2, "macs": macs,
            "chat.perplexity_unusable": macs < 400, "chat.perplexity_ratio": 1 + macs / 1024,
        }  # fmt: skip
        return Evaluation(metrics, margins, macs[:, None], margins["limit"] >= 0)


def test_each_goal_has_its_best_change_and_the_largest_gain_comes_first():
    found = best_changes(Made(), {"macs": 1024.0, "cooling": "air"})
    assert [(one.goal, one.parameter, one.before, one.after, one.value_before, one.value_after) for one in found] == [
        ("chat.tokens_per_s_end_to_end", "macs", 1024, 2048, 1024, 2048),
        ("cost_usd", "macs", 1024, 512, 1, 0.5),
        ("chat.tpot_ms", "macs", 1024, 2048, 1e4 / 1024, 1e4 / 2048),
    ]
    assert [one.gain for one in found] == [1, 0.5, 0.5] and all(one.meets_all for one in found)
    quality = {"chat.perplexity_ratio": (2, 3)}
    assert found[0].beside == {"tdp_w": (8, 8), "cost_usd": (1, 2), "die_mm2": (512, 1024), **quality}


def test_a_design_that_misses_is_to_miss_less_first_and_never_more():
    found = best_changes(Made(), {"macs": 4096.0, "cooling": "air"})
    assert [(one.goal, one.after, one.meets_all) for one in found] == [
        (VIOLATION, 1024, True),
        ("cost_usd", 1024, True),
    ]
    assert (found[0].value_before, found[0].value_after, found[0].gain) == (1, 0, 1)
    # Of one that misses far a change may miss less and still miss.
    far = best_changes(Made(), {"macs": 65536.0, "cooling": "air"})
    assert [(one.goal, one.after, one.meets_all) for one in far] == [
        (VIOLATION, 16384, False),
        ("cost_usd", 16384, False),
    ]


def best(values, missed, better="min"):
    values, missed = np.array(values, dtype=float), np.array(missed, dtype=float)
    moved = [("a", float(place)) for place in range(1, len(values))]
    beside = {name: np.arange(len(values)) * 1.0 for name in ("tdp_w", "cost_usd", "die_mm2")}
    judged = SimpleNamespace(metrics=beside, feasible=missed <= 0)
    found = _best("goal", values, missed, better, moved, {"a": 0.0}, judged, ())
    return found and found.after


@pytest.mark.parametrize(
    ("values", "missed", "better", "after"),
    [
        ([5, 4, 3, 6], [0, 0, 0, 0], "min", 2), ([5, 4, 3, 6], [0, 0, 0.1, 0], "min", 1),
        ([5, 4, 3, 6], [0] * 4, "max", 3),
        ([5, 6, 7], [0] * 3, "min", None), ([5, 4, 3], [0] * 3, "max", None), ([5, 5], [0] * 2, "min", None),
        ([math.nan, 3], [0] * 2, "min", None), ([5, math.nan, 4], [0] * 3, "min", 2),
        ([5, -math.inf, 4], [0] * 3, "min", 2),
        # As much is missed as now, but for a rounding.
        ([5, 4], [0.1, 0.1], "min", 1), ([5, 4], [0.1, 0.1 + 5e-13], "min", 1),
        ([5, 4], [0.1, 0.1 + 5e-12], "min", None),
        # A billionth is no gain.
        ([5, 5 * (1 - 5e-10)], [0] * 2, "min", None), ([5, 5 * (1 - 5e-9)], [0] * 2, "min", 1),
        ([5, 5 * (1 + 5e-10)], [0] * 2, "max", None), ([5, 5 * (1 + 5e-9)], [0] * 2, "max", 1),
    ],
)  # fmt: skip
def test_the_best_change_helps_and_breaks_nothing(values, missed, better, after):
    assert best(values, missed, better) == after


def moved(**settings):
    found = {}
    for name, value in _moved(settings, None, LIBRARY):
        found.setdefault(name, []).append(value)
    return found


def test_numbers_are_moved_by_factors_and_names_to_all_that_are_real():
    assert moved(macs=1000.0) == {"macs": [250, 500, 750, 1250, 1500, 2000, 4000]}
    assert moved(clock_ghz=1.0)["clock_ghz"] == list(STEPS)
    # Whole numbers stay whole, 1 at least, and each is tried once.
    assert moved(memory_devices=2.0) == {"memory_devices": [1, 3, 4, 8]}
    assert moved(memory_devices=3.0) == {"memory_devices": [1, 2, 4, 6, 12]}
    # kv_bits end at their largest, and what is 0 is nothing to multiply.
    assert max(moved(kv_bits=8.0)["kv_bits"]) <= 32 and moved(link_gbps=0.0) == {}
    assert moved(cooling="air") == {"cooling": ["liquid"]} and moved(cooling="liquid") == {"cooling": ["air"]}
    real = [name for name, one in LIBRARY.weight_formats.items() if not one.hypothetical and name != "fp8"]
    assert moved(weight_format="fp8") == {"weight_format": real} and len(real) < len(LIBRARY.weight_formats) - 1
    assert moved(serving_stack="vllm") == {}
    assert moved(node="tsmc_5") == {"node": [name for name in LIBRARY.nodes if name != "tsmc_5"]}
    # What is no parameter of a design is passed over, and what follows it is not.
    assert list(moved(unknown=3.0, cooling="air", macs=1000.0)) == ["cooling", "macs"]


def test_a_space_says_what_is_tried():
    space = Space(parse_spec(tiny()))
    settings = {"memory_devices": 4.0, "macs": 8192.0, "other": 3.0}
    found = _moved(settings, space, LIBRARY)
    assert found == [("memory_devices", float(one)) for one in (2, 6, 8, 10, 12, 14, 16)] + [
        ("macs", float(one)) for one in (16384, 32768, 65536, 131072)
    ]

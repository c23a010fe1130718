"""Curves of machines whose step, power and price are made up, so that every point is known by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis.explain.curve import BATCHES, _waits, all_curves, baseline_curves, design_curves

B = np.array(BATCHES)
HELD = np.minimum(B, 64)
"""Sequences that the memory holds of those asked for."""
STEP_MS = 10 + HELD + (B > 60_000)
MADE = {
    "tpot_ms": STEP_MS,
    "ttft_ms": 5 * B,
    "tokens_per_s": 1000 * HELD / STEP_MS,
    "tokens_per_s_end_to_end": 500 * HELD / STEP_MS,
    # Boards of 400 W that cost 20 000 USD.
    "tokens_per_joule_tdp": 1000 * HELD / STEP_MS / 400,
    "tokens_per_s_per_usd": 500 * HELD / STEP_MS / 20_000,
    "decode_w": np.array([300.0]),
}


class Made:
    """An evaluator of one machine, and what it was asked."""

    def __init__(self, metrics=MADE, *, ttft=None, tpot=None, batching="static", deployment=None, prefill=None):
        workloads = {name: SimpleNamespace(batching=batching, n_chips=4) for name in ("chat", "code")}
        baselines = {name: SimpleNamespace(prefill=prefill, count=2) for name in ("pair", "more")}
        self.spec = SimpleNamespace(workloads=workloads, deployment=deployment, baselines=baselines)
        self.limits = SimpleNamespace(ttft_ms=ttft, tpot_ms=tpot)
        self.metrics, self.asked = metrics, []

    def slo_of(self, workload):
        return self.limits

    def named(self):
        return {f"{workload}.{name}": column for workload in ("chat", "code") for name, column in self.metrics.items()}

    def evaluate(self, designs, *, metrics):
        self.asked.append((dict(designs), list(metrics)))
        return SimpleNamespace(metrics=self.named())

    def baseline_columns(self, entry, *, batches, metrics):
        self.asked.append((entry, batches.tolist(), metrics))
        return self.named()


def curve(metrics=MADE, settings=None, **changed):
    (found,) = design_curves(Made(metrics, **changed), settings or {"macs": 4096.0}, "mine", ["chat"])
    return found


def test_batches_are_powers_of_the_root_of_two():
    assert BATCHES[:9] == (1, 2, 3, 4, 6, 8, 11, 16, 23) and BATCHES[-1] == 65536 and len(BATCHES) == 32


def test_a_point_has_the_speed_of_its_user_and_the_rates_of_its_machine():
    found = curve()
    assert (found.name, found.workload, found.chips, found.baseline) == ("mine", "chat", 4, False)
    # Above 64 sequences further ones only wait, whatever follows.
    assert [point.batch for point in found.points] == [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64]
    for point in found.points:
        whole = 500 * point.batch / (10 + point.batch)
        assert point.user_tokens_per_s == pytest.approx(1000 / (10 + point.batch))
        rates = {
            "tokens_per_s_per_chip": whole / 4, "tokens_per_s_per_kw": whole / 0.4,
            "tokens_per_s_per_usd": whole / 20_000,
        }  # fmt: skip
        assert point.rates == pytest.approx(rates)
        assert point.metrics["decode_w"] == 300 and math.isnan(point.metrics["usd_per_million_tokens"])
        assert point.within_limits and isinstance(point.batch, int)
    assert found.max_batch == 64 and found.ttft_limit_ms is found.tpot_limit_ms is None


@pytest.mark.parametrize(
    ("limits", "most"),
    # 5 ms per sequence to the first token and 10 ms and 1 ms more per sequence to any other.
    [({"ttft": 115}, 23), ({"ttft": 114.9}, 16), ({"tpot": 42}, 32), ({"tpot": 41.9}, 23),
     ({"ttft": 55, "tpot": 42}, 11), ({"ttft": 115, "tpot": 18}, 8), ({"ttft": 4}, 0)],
)  # fmt: skip
def test_the_largest_batch_keeps_both_limits(limits, most):
    found = curve(**limits)
    assert found.max_batch == most
    assert [point.batch for point in found.points if point.within_limits] == [batch for batch in B if batch <= most]
    assert (found.ttft_limit_ms, found.tpot_limit_ms) == (limits.get("ttft"), limits.get("tpot"))


def test_batches_without_a_step_are_left_out_wherever_they_stand():
    step = STEP_MS.astype(float)
    step[[0, 3]] = np.nan
    assert [point.batch for point in curve({**MADE, "tpot_ms": step}).points][:5] == [2, 3, 6, 8, 11]


def test_chips_that_prefill_count_and_must_exist():
    more = np.where(B == 2, np.inf, 4.0)
    pooled = {**MADE, "prefill_chips": np.where(B == 3, np.nan, more)}
    found = curve(pooled, deployment="1x h100_sxm", settings={"chat.n_chips": "2"})
    assert [point.batch for point in found.points][:3] == [1, 4, 6] and found.chips == 2
    assert found.points[0].rates["tokens_per_s_per_chip"] == pytest.approx(500 / 11 / 6)
    # Where none prefills beside them the metric has no part.
    assert [point.batch for point in curve(pooled).points][:3] == [1, 2, 3]
    # A baseline has its own, and not those of the designs.
    alone, beside = (
        baseline_curves(Made(pooled, deployment="1x a100", prefill=one), "pair", ["chat"])[0] for one in (None, "1x l4")
    )
    assert alone.points[1].batch == 2 and beside.points[1].batch == 4
    assert [one.points[0].rates["tokens_per_s_per_chip"] for one in (alone, beside)] == pytest.approx(
        [500 / 11 / 2, 500 / 11 / 6]
    )


def test_requests_wait_where_neither_time_nor_rate_moves():
    before = {"tpot_ms": 1e4, "tokens_per_s_end_to_end": 50.0}
    for name, factor, waits in (
        ("tpot_ms", 1, True), ("tpot_ms", 1 + 5e-10, True), ("tpot_ms", 1 - 5e-10, True), ("tpot_ms", 1 + 5e-9, False),
        ("tokens_per_s_end_to_end", 1.001, False), ("tokens_per_s_end_to_end", 0.999, False),
    ):  # fmt: skip
        assert _waits(before, {**before, name: before[name] * factor}) == waits, (name, factor)
    assert _waits({**before, "tokens_per_s_end_to_end": 0.0}, {**before, "tokens_per_s_end_to_end": 0.0})


@pytest.mark.parametrize(("batching", "field"), [("static", "batch"), ("continuous", "concurrency")])
def test_a_design_is_asked_at_every_batch(batching, field):
    made = Made(batching=batching)
    assert [one.workload for one in design_curves(made, {"macs": 4096.0, "node": "tsmc_5"}, "mine")] == ["chat", "code"]
    for workload, (designs, wanted) in zip(("chat", "code"), made.asked, strict=True):
        assert designs[f"{workload}.{field}"].tolist() == list(BATCHES)
        assert designs["macs"].tolist() == [4096.0] * len(BATCHES) and len(designs["node"]) == len(BATCHES)
        assert set(designs) == {"macs", "node", f"{workload}.{field}"}
        assert wanted[0] == f"{workload}.tpot_ms" and all(name.startswith(f"{workload}.") for name in wanted)


def test_all_curves_are_designs_then_baselines_of_the_workloads_that_are_wanted():
    made = Made()
    found = all_curves(made, {"one": {"macs": 1.0}, "two": {"macs": 2.0}}, ["code"])
    assert [(one.name, one.workload, one.baseline) for one in found] == [
        ("one", "code", False), ("two", "code", False), ("pair", "code", True), ("more", "code", True),
    ]  # fmt: skip
    entry, batches, wanted = made.asked[-1]
    assert entry.count == found[-1].chips == 2 and batches == list(BATCHES)
    assert "code.tpot_ms" in wanted and not any(name.startswith("chat") for name in wanted)
    assert len(all_curves(made, {"one": {"macs": 1.0}})) == 6

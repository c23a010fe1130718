"""The least rate for a time, the memory of one chip and what quality allows, of workloads that are made up."""

from types import SimpleNamespace

import numpy as np
import pytest

from dse.analysis.require import requirements as requiring
from dse.analysis.require.requirements import (
    GROWTH,
    Asked,
    Requirement,
    _capacity_bytes,
    _most_chips,
    _quality_met,
    _rates,
    least_rate,
    requirements,
)
from dse.analysis.require.targets import Target
from dse.sweep import ConstraintSpec


def bound(metric, **sides):
    return ConstraintSpec.model_construct(metric=metric, **sides)


def test_the_least_rate_is_where_the_time_is_met():
    floor = np.array([1.0, 2.0, 5.0])
    found = least_rate(lambda rate: 10 / rate + np.array([0.0, 0.5, 1.0]), floor, 1.0)
    assert found.tolist() == pytest.approx([10, 20, np.inf])
    # Up to a million times the floor, and no further; where all is enough it is the floor.
    assert least_rate(lambda rate: 0.99 * GROWTH / rate, np.ones(1), 1.0) == pytest.approx([0.99 * GROWTH])
    assert least_rate(lambda rate: 1.01 * GROWTH / rate, np.ones(1), 1.0).tolist() == [np.inf]
    assert least_rate(lambda rate: GROWTH / np.round(rate), np.ones(1), 1.0) == pytest.approx([GROWTH])
    assert least_rate(lambda rate: 0 * rate, np.full(1, 3.0), 1.0) == pytest.approx([3])
    # One floor stands for all rows of times.
    assert least_rate(lambda rate: np.array([2.0, 4.0]) / rate, np.ones(1), 1.0) == pytest.approx([2, 4])
    # What falls by steps is found where it falls.
    assert least_rate(lambda rate: np.where(rate >= 7, 1.0, 2.0), np.ones(1), 1.0) == pytest.approx([7], rel=1e-12)


@pytest.fixture
def phases(monkeypatch):
    monkeypatch.setattr(requiring, "decode_phase", lambda *given: SimpleNamespace(pass_s=np.array([2.0, 3.0])))
    monkeypatch.setattr(requiring, "prefill_phase", lambda *given: SimpleNamespace(pass_s=np.array([5.0, 7.0])))
    made = SimpleNamespace(
        most_loaded_bytes=np.array([10.0, 40.0]), weights_bytes=np.array([30.0, 60.0]), kv_bytes=20.0,
        activations_bytes=10.0,
    )  # fmt: skip
    monkeypatch.setattr(requiring, "footprint", lambda serving, formats, chunk_rows: made if chunk_rows == 9 else None)


ASKED = Asked(SimpleNamespace(decode_steps=4.0), "formats", SimpleNamespace(chunk_rows=9), "ideal")


def test_a_request_is_its_prompt_and_every_step(phases):
    assert ASKED.seconds("step", None).tolist() == [2, 3] and ASKED.seconds("prompt", None).tolist() == [5, 7]
    assert ASKED.seconds("request", None).tolist() == [13, 19] and ASKED.held_bytes.tolist() == [10, 40]


def evaluator(*constraints, required=True):
    workloads = {"chat": SimpleNamespace(required=required), "code": SimpleNamespace(required=True)}
    return SimpleNamespace(spec=SimpleNamespace(constraints=constraints, workloads=workloads), baselines={})


def test_memory_is_the_share_of_a_chip_or_of_as_many_as_are_allowed(phases):
    assert _capacity_bytes(evaluator(), "chat", ASKED).tolist() == [10, 40]
    two, four = (bound("chat.chips_needed", max=most) for most in (2.0, 4.0))
    # Of 60 and 90 bytes a half and a quarter; a workload that must fit fits its own chips too.
    assert _capacity_bytes(evaluator(four, two, required=False), "chat", ASKED).tolist() == [30, 45]
    assert _capacity_bytes(evaluator(four, required=False), "chat", ASKED).tolist() == [15, 22.5]
    assert _capacity_bytes(evaluator(four), "chat", ASKED).tolist() == [15, 40]
    assert _most_chips(evaluator(four, two), "chat") == 2 and _most_chips(evaluator(four, two), "code") is None
    assert _most_chips(evaluator(bound("chat.chips_needed", min=1.0)), "chat") is None
    # A least number before it hides no most.
    assert _most_chips(evaluator(bound("chat.chips_needed", min=1.0), four), "chat") == 4


@pytest.mark.parametrize(
    ("span", "moved", "macs"), [("step", 100.0, 1000.0), ("prompt", 7.0, 70.0), ("request", 407.0, 4070.0)]
)
def test_rates_are_what_is_moved_and_multiplied_over_the_time(monkeypatch, span, moved, macs):
    work = {"decode_bytes": 100.0, "prefill_bytes": 7.0, "decode_macs": 1000.0, "prefill_macs": 70.0}
    monkeypatch.setattr(requiring, "least_work", lambda serving, ideal, formats: work)
    monkeypatch.setattr(
        requiring, "envelope_machine",
        lambda *, bandwidth_bytes_per_s=None, mac_per_s=None, sram_bytes: (
            (bandwidth_bytes_per_s, moved * 2) if mac_per_s is None else (mac_per_s, macs * 3)
        ),
    )  # fmt: skip
    asked = SimpleNamespace(
        serving=SimpleNamespace(decode_steps=4.0), ideal="ideal", formats="formats", sram_bytes=8.0,
        seconds=lambda span, machine: machine[1] / machine[0],
    )  # fmt: skip
    found = _rates(asked, Target("chat", span, 0.5, ""))
    # A stack that needs twice the bytes and thrice the multiplications.
    assert {name: one[0] for name, one in found.items()} == pytest.approx({
        "bandwidth_gbps": moved / 0.5 / 1e9, "bandwidth_stack_gbps": 2 * moved / 0.5 / 1e9,
        "tflops": 2 * macs / 0.5 / 1e12, "tflops_stack": 3 * 2 * macs / 0.5 / 1e12,
    })  # fmt: skip


def test_quality_is_what_constraints_on_perplexity_leave():
    asked = bound("chat.perplexity_ratio", max=1.05), bound("tdp_w", max=3.0), bound("code.perplexity_ratio", max=1.1)
    margins = {
        asked[0].label: np.array([0.1, 0.0, -0.1, 0.2]), asked[1].label: np.full(4, -1.0),
        asked[2].label: np.array([-0.1, 0.1, 0.1, 0.1]),
    }  # fmt: skip
    assert _quality_met(evaluator(*asked), margins, 4).tolist() == [False, True, False, True]
    assert _quality_met(evaluator(), {}, 2).tolist() == [True, True]


@pytest.mark.parametrize(
    ("allowed", "chosen"), [((False, True, True), "b"), ((True, True, True), "a"), ((False, False, False), "a")]
)
def test_the_least_bandwidth_whose_quality_is_allowed_is_chosen(monkeypatch, allowed, chosen):
    needs = [
        Requirement(name, 4.0, 8.0, gbps, 0.0, 0.0, 0.0, gib, {}, allowed["abc".index(name)], 1.0)
        for name, gbps, gib in (("c", 9.0, 1.0), ("b", 5.0, 3.0), ("a", 5.0, 2.0))
    ]
    monkeypatch.setattr(requiring, "Evaluator", lambda spec: "evaluator")
    monkeypatch.setattr(requiring, "Space", lambda spec: "space")
    monkeypatch.setattr(requiring, "targets_of", lambda evaluator: ["target"])
    monkeypatch.setattr(requiring, "_needs", lambda evaluator, space, targets: needs)
    monkeypatch.setattr(requiring, "_bits_line", lambda evaluator, space, targets, need: [need.weight_format])
    monkeypatch.setattr(requiring, "memory_options", lambda evaluator, space, need, lines: (need.weight_format, *lines))
    monkeypatch.setattr(requiring, "sized_designs", lambda evaluator, space: ("sized",))
    found = requirements(SimpleNamespace(name="it"))
    assert [need.weight_format for need in found.needs] == ["a", "b", "c"] and found.chosen.weight_format == chosen
    assert found.options == (chosen, chosen) and found.targets == ("target",) and found.sized == ("sized",)

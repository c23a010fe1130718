"""Chips of the library in a sweep: how many of which, and how they are run."""

from __future__ import annotations

from cost_models.workload.serving import Layout
from dse.sweep import parse_spec
from tests.sweeps import small

RUN = {
    "chips": "12x h100_sxm", "weight_format": "fp8", "kv_bits": 8, "act_bits": 8, "weight_execution": "direct",
    "serving_stack": "vllm", "stored_bits": 8.5, "parallelism": "pipeline",
}  # fmt: skip


def test_chips_are_counted_named_and_run_as_is_said() -> None:
    made = parse_spec(small(baselines={"a": RUN, "b": {"chips": "l4"}})).baselines
    one, other = made["a"], made["b"]
    assert (one.count, one.chip, other.count, other.chip) == (12, "h100_sxm", 1, "l4")
    for name in ("weight_format", "kv_bits", "act_bits", "weight_execution", "serving_stack", "stored_bits"):
        assert getattr(one.setup, name) == RUN[name], name
    assert one.setup.chip == "h100_sxm" and one.setup.expert_format is None
    assert (other.setup.kv_bits, other.setup.act_bits, other.setup.weight_format) == (16.0, 16.0, None)
    chat = parse_spec(small(workloads={"chat": {"model": "llama2_70b", "parallelism": "tensor"}})).workloads["chat"]
    assert one.layout(chat) == Layout.of("pipeline", 12.0) != other.layout(chat) == Layout.of("tensor", 1.0)

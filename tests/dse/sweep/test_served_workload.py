"""What a workload of a sweep says reaches the models, field by field, and designs set what they sweep."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.evaluate.workload import Conversation
from cost_models.performance.waits import lognormal_cv
from dse.sweep import parse_spec
from dse.sweep.served_workload import field_of, on_chips, workload_of
from tests.sweeps import small

CHAT = {
    "model": "llama3_8b", "batching": "continuous", "prompt_tokens": 300, "output_tokens": 40, "arrivals_per_s": 3,
    "arrival_cv": 2, "prompt_p95_tokens": 600, "output_p95_tokens": 90, "limit_percentile": 95, "n_chips": 2,
    "node_chips": 8, "network_gbps": 25, "chunk_rows": 512, "kv_bits": 8, "act_bits": 8, "weight_format": "fp8",
    "same_prompts": True, "expert_spread": 0.5, "hottest_fifth": 0.4, "ttft_limit_ms": 900,
    "sessions": {"turns": 5, "think_s": 30, "kept_gib": 2, "tier": "ddr5", "tier_gib": 64,
    "tier_gbps": 20, "hit_share": 0.7},
    "speculation": {"draft_tokens": 3, "acceptance": 0.6, "draft": "ngram"},
}  # fmt: skip


def served(designs=None, **changes):
    chat = {key: one for key, one in {**CHAT, **changes}.items() if one is not None}
    spec = parse_spec(small(workloads={"chat": chat}))
    return workload_of("chat", spec.workloads["chat"], designs or {})


def test_every_field_is_what_the_sweep_says():
    found = served()
    for name in (
        "prompt_tokens",
        "output_tokens",
        "n_chips",
        "node_chips",
        "network_gbps",
        "chunk_rows",
        "expert_spread",
        "hottest_fifth",
    ):
        assert getattr(found, name).tolist() == [CHAT[name]], name
    for name in ("model", "batching", "weight_format", "kv_bits", "act_bits", "same_prompts"):
        assert getattr(found, name) == CHAT[name], name
    assert math.isnan(found.prefix_cached[0]) and found.expert_format is None
    traffic = found.traffic
    assert (traffic.arrivals_per_s, traffic.arrival_cv, traffic.limit_percentile) == ([3], [2], 95)
    assert math.isnan(traffic.concurrency[0])
    assert traffic.prompt_cv == lognormal_cv(np.array([2.0])) and traffic.output_cv == lognormal_cv(np.array([2.25]))
    assert (found.drafting.draft_tokens, found.drafting.acceptance, found.drafting.draft) == ([3], [0.6], "ngram")
    told = found.conversation
    assert isinstance(told, Conversation) and told.tier == "ddr5"
    for name, value in CHAT["sessions"].items():
        assert getattr(told, name) == value, name


def test_what_is_left_out_is_nothing():
    found = served(
        sessions=None, speculation=None, arrival_cv=None, limit_percentile=None, prompt_p95_tokens=None,
        batching="static",
        arrivals_per_s=None, output_p95_tokens=None, batch="largest", same_prompts=None, ttft_limit_ms=None,
    )  # fmt: skip
    assert found.conversation is None and found.drafting is None and math.isnan(found.batch[0])
    assert found.traffic.arrival_cv.tolist() == [1.0] and math.isnan(found.traffic.limit_percentile)
    assert found.same_prompts == 0 and served(batch=None, n_chips=None).n_chips.tolist() == [1]


def test_designs_set_what_they_sweep_and_an_inactive_number_is_the_default():
    spec = parse_spec(small())
    chat = spec.workloads["chat"]
    designs = {"chat.batch": np.array([4.0, np.nan, 9.0]), "chat.node_chips": np.array([np.nan, 2.0, 3.0])}
    assert field_of("chat", chat, "batch", designs).tolist() == [4, 1, 9]
    np.testing.assert_array_equal(field_of("chat", chat, "node_chips", designs), [np.nan, 2, 3])
    assert field_of("chat", chat, "batch", {}).tolist() == [32]
    silent = SimpleNamespace(said=lambda field: None)
    assert math.isnan(field_of("other", silent, "batch", designs)[0])


@pytest.mark.parametrize(("network", "node"), [(None, None), (10.0, None), (None, 4.0), (10.0, 4.0)])
def test_chips_of_the_library_may_be_linked_in_another_way(network, node):
    found = served()
    other = on_chips(found, network_gbps=network, node_chips=node)
    assert other.network_gbps == (found.network_gbps if network is None else network)
    assert other.node_chips == (found.node_chips if node is None else node)

"""What a workload says, as the models take it: experts, batches of replicas, drafts, and tiers worked out by hand."""

import numpy as np
import pytest

from cost_models.evaluate.workload import Conversation, Drafting, Workload, prompts_of, serving_config
from cost_models.library.technology import Technology
from cost_models.workload.serving import Layout

TECHNOLOGY = Technology({"serving.expert_spread": 0.9, "serving.served_expert_spread": 0.8})
NAN = np.nan


def serving(**fields):
    return serving_config(Workload("w", "qwen3_30b_a3b", **fields), TECHNOLOGY)


@pytest.mark.parametrize(
    ("fields", "spread"),
    [
        ({}, 0.9),
        ({"batching": "waves"}, 0.9),
        ({"batching": "in_flight"}, 0.8),
        ({"batching": "continuous"}, 0.8),
        ({"batching": np.array(["static", "in_flight"], dtype=object)}, [0.9, 0.8]),
        ({"expert_spread": 0.3}, 0.3),
        ({"expert_spread": np.array([NAN, 0.3]), "batching": "in_flight"}, [0.8, 0.3]),
        ({"same_prompts": 1.0, "expert_spread": 0.3}, 0.0),
        ({"same_prompts": np.array([0.0, 1.0])}, [0.9, 0.0]),
    ],
)
def test_tokens_choose_experts_as_is_told_or_as_requests_come(fields, spread):
    np.testing.assert_array_equal(serving(**fields).expert_spread, spread)


@pytest.mark.parametrize(
    ("prompt", "cached", "prefix"),
    [(100, NAN, 0), (100, 0, 0), (100, 0.25, 25), (100, 1, 99), (100, 1.5, 1.5), (100, 99, 99), (100, 200, 99),
     (1, 0.5, 0), (1, 1, 0), (0.5, 1, 0)],
)  # fmt: skip
def test_a_prefix_is_a_share_up_to_one_and_tokens_above(prompt, cached, prefix):
    assert serving(prompt_tokens=float(prompt), prefix_cached=float(cached)).prefix_tokens == prefix
    encoder = Workload("w", "vit_22b", prompt_tokens=float(prompt), prefix_cached=float(cached), output_tokens=1.0)
    assert serving_config(encoder, TECHNOLOGY).prefix_tokens == 0


@pytest.mark.parametrize(("batch", "each"), [(1.0, 1.0), (3.0, 1.0), (4.0, 1.0), (6.0, 1.5), (40.0, 10.0)])
def test_a_replica_has_its_share_of_the_batch_and_one_sequence_at_least(batch, each):
    one = serving(batch=batch, parallelism="dp4")
    assert one.batch == each and one.replicas == 4
    assert serving(batch=batch, n_chips=4.0).batch == batch


def test_prompts_are_prefilled_one_at_a_time_on_chips_of_their_own():
    one = prompts_of(Workload("w", "llama3_8b", batch=9.0, n_chips=2.0), Layout.of("tp4", 4.0))
    assert (one.batch, one.batching, float(one.layout.tensor_parallel), one.model) == (1, "in_flight", 4, "llama3_8b")


def test_drafts_are_copies_further_layers_or_models():
    library = TECHNOLOGY.library
    copied, further, small = (
        Drafting(3.0, 0.6, draft).of(library.model("deepseek_v3"), library) for draft in ("ngram", "mtp", "llama32_1b")
    )
    assert copied.draft is None and not copied.shares_vocabulary
    assert further.draft is not None and further.draft.layers == 1 and further.shares_vocabulary
    assert small.draft is library.model("llama32_1b") and not small.shares_vocabulary
    for one in (copied, further, small):
        assert one.draft_tokens == 3 and one.acceptance == 0.6


def test_a_tier_is_memory_behind_a_link():
    told = {
        "memory.ddr5.energy_total_pj_per_bit": 20.0, "deployment.tier_link_pj_per_bit": 5.0,
        "memory.ddr5.price_usd_per_gb": 4.0, "memory_market.price_over_2025": 1.5,
        "memory.ddr5.idle_w_per_gib": 0.1, "memory.ddr5.embodied_g_per_gib": 60.0,
        "deployment.tier_gbps": 50.0, "deployment.tier_latency_s": 0.001, "deployment.most_utilisation": 0.9,
    }  # fmt: skip
    talk = Conversation(5.0, 30.0, kept_gib=np.array([NAN, 2.0]), tier="ddr5", tier_gib=np.array([NAN, 10.0]),
                        tier_gbps=np.array([NAN, 8.0]), hit_share=0.4)  # fmt: skip
    sessions = talk.of(500.0, Technology(told))
    tier = sessions.tier
    assert (sessions.turns, sessions.think_s, sessions.growth_tokens, sessions.hit_share) == (5, 30, 500, 0.4)
    np.testing.assert_allclose(sessions.kept_bytes, [0, 2 * 2**30])
    np.testing.assert_allclose(tier.capacity_bytes, [0, 10 * 2**30])
    np.testing.assert_allclose(tier.bytes_per_s, [50e9, 8e9])
    np.testing.assert_allclose(tier.j_per_byte, 25e-12 * 8)
    np.testing.assert_allclose(tier.price_usd, [0, 10 * 4 * 1.5])
    np.testing.assert_allclose(tier.idle_w, [0, 1.0])
    np.testing.assert_allclose(tier.embodied_kg, [0, 0.6])
    assert (tier.latency_s, tier.most_utilisation) == (0.001, 0.9)
    assert Conversation(5.0, 30.0).of(500.0, TECHNOLOGY).tier is None
    # Each turn has the prompt, the answer, and two such turns before it in the mean of five.
    talking = serving(prompt_tokens=300.0, output_tokens=200.0, conversation=Conversation(5.0, 30.0))
    assert talking.prompt_tokens == 300 + 2 * 500 and talking.sessions.growth_tokens == 500

"""Every operator of two small models with every part, counted by hand: what one chip of two reads, does and sends.

The hybrid has plain, windowed and state layers and weights beside them; the mixture latent attention with an index,
a dense layer, shared experts, and routed ones on narrower vectors, dealt to two groups of two chips.
"""

import math
from dataclasses import replace

import pytest

from cost_models.library import Model, shipped_library
from cost_models.workload.formats import Formats
from cost_models.workload.mixing import (
    cache_bytes,
    decode_attention,
    kv_cache_elements,
    prefill_attention,
    shared_queries,
)
from cost_models.workload.operators import Shape, linear_operators, most_loaded_experts
from cost_models.workload.param_count import (
    LayerWeights,
    active_expert_fraction,
    count_parameters,
    expert_fraction,
    layer_weights,
)
from cost_models.workload.serving import ServingConfig, footprint, held_tensors, request_cache_bytes
from cost_models.workload.speculation import Speculation

BASE = {
    **shipped_library().model("llama2_7b").model_dump(exclude={"key", "published_params"}), "key": "x", "layers": 6,
    "d_model": 8, "heads": 4, "kv_heads": 2, "head_dim": 4, "d_ff": 16, "vocab": 32, "attention": "GQA",
}  # fmt: skip
STATE = {"kind": "mamba2", "layers": 3, "heads": 4, "head_dim": 2, "key_heads": 2, "key_dim": 3, "conv_width": 4}
HYBRID = Model.model_validate({
    **BASE, "attention_layers": [{"layers": 2}, {"layers": 1, "reach": 5}], "state_layers": [STATE],
    "further": {"layer": 16, "once": 24, "table": 7, "small": 5},
})  # fmt: skip
MOE = {
    "experts": 4, "active_experts": 2, "expert_d_ff": 6, "shared_experts": 1, "first_dense_layers": 1, "latent_d": 4,
    "router_bias": True,
}  # fmt: skip
MIXTURE = Model.model_validate({
    **BASE, "attention": "MLA", "layers": 3, "heads": 2, "kv_heads": 2, "head_dim": 3, "d_ff": 10, "moe": MOE,
    "mla": {"q_lora_rank": 4, "kv_lora_rank": 6, "qk_nope_head_dim": 3, "qk_rope_head_dim": 2, "v_head_dim": 3},
    "indexer": {"heads": 2, "head_dim": 3, "top_k": 4},
})  # fmt: skip


def told(operators):
    """Return the amounts of each operator, those of zero left out; of operators with weights all macs are checked."""
    skipped = ("names", "classes")
    amounts = {name: values for name, values in vars(operators).items() if name not in skipped}
    return {
        name: {"of": operators.classes[place]}
        | {field: values[place, 0] for field, values in amounts.items() if values[place, 0] != 0}
        for place, name in enumerate(operators.names)
    }


def gemm(times, rows, weights, activations, **further):
    """Return an operator whose rows all meet its weights; activations are those of a row."""
    work = {"rows": rows, "weights": weights, "macs": rows * weights, "activations": rows * activations}
    return {"of": "linear", "times": times, **work, **further}


def same(operators, expected):
    found = told(operators)
    assert list(found) == list(expected)
    for name, amounts in expected.items():
        assert found[name].pop("of") == amounts["of"]
        expected_amounts = {field: amount for field, amount in amounts.items() if field != "of"}
        assert found[name] == pytest.approx(expected_amounts, rel=1e-12), name


def test_a_hybrid_on_two_chips():
    # Three tokens of a step, two of which meet the head. Each chip has 2 of 4 heads, 1 of 2 key heads, half of each
    # block, of each state's heads and of the vocabulary.
    same(linear_operators(HYBRID, Shape(3.0, 10, 10, 2.0), tokens_per_sequence=1.0, head_rows=2.0), {
        # 8 x 8 of queries and as many of keys and values; norms 4 x 8, and 2 x (8 of queries and 4 of keys) rotated.
        "qkv": gemm(3, 3, 64 + 64, 8 + 8 + 8, kernels=3, vector_ops=3 * (32 + 24), depth=8),
        "attention_out": gemm(3, 3, 64, 8 + 8, kernels=1, reduced=3 * 8, depth=8),
        # Thin matrices lie whole on every chip.
        "further": gemm(6, 3, 16, 2 * 8 + 2, kernels=2),
        "further_once": gemm(1, 3, 24, 2 * 8 + 3, kernels=2),
        # 8 values, a gate as wide, keys and queries of 2 x 3, a step for each of 4 heads.
        "state_in": gemm(3, 3, 8 * (8 + 8 + 6 + 6 + 4) / 2, 8 + 28 / 2, kernels=2, vector_ops=3 * 32, depth=8),
        "state_out": gemm(3, 3, 8 * 8 / 2, 4 + 8, kernels=1, reduced=3 * 8, depth=4),
        "ffn_up": gemm(6, 3, 2 * 8 * 8, 8 + 3 * 8, kernels=3, vector_ops=3 * (32 + 3 * 8), special_functions=3 * 16,
                       depth=8),
        "ffn_down": gemm(6, 3, 8 * 8, 8 + 8, kernels=1, reduced=3 * 8, depth=8),
        "lm_head": {**gemm(1, 2, 8 * 16, 8 + 16, kernels=2, vector_ops=2 * 32, depth=8), "of": "head"},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("replicas", "groups", "everyone"), [(2.0, 2.0, 0.0), (1.0, 1.0, 0.0), (2.0, 2.0, 1.0), (2.0, 1.0, 0.0)]
)
def test_a_mixture_on_two_chips_and_its_replica(replicas, groups, everyone):
    shape = Shape(4.0, 10, 10, 2.0, replicas=replicas, expert_parallel=groups, all_experts=everyone)
    touched, slots = most_loaded_experts(4, 2, 4 * replicas, groups=groups, spread=1.0)
    if everyone:
        # The two experts of a group, each chosen by all tokens of both replicas.
        touched, slots = 2.0, 2 * 8.0
    touched, slots = float(touched), float(slots)
    # The chips that share an expert have 6 columns between them; a group's are all but one of the groups.
    sharing = 2 * replicas / groups
    columns = math.ceil(6 / sharing)
    experts = {
        "of": "expert", "times": 2, "rows": slots / touched, "weights": touched * 3 * 4 * columns,
        "macs": slots * 3 * 4 * columns, "activations": slots * (2 * 4 + 3 * columns), "kernels": 2,
        "reduced": 4 * 4, "vector_ops": 3 * slots * columns, "special_functions": 2 * slots * columns,
    }  # fmt: skip
    if replicas > 1:
        # A token of half a chip's share goes to all chips of each group that one of its two experts lies in, but for
        # itself, as often as the fullest group has more than its share.
        met = sharing * (1 if groups == 1 else 2 * (1 - (1 / 2) ** 2))
        sent = 4 / 2 * met * (1 - 1 / (2 * replicas)) * slots * groups / (4 * replicas * 2) * 4
        experts |= {"exchanges": 2, "exchanged": sent, "dispatched": sent}
    same(linear_operators(MIXTURE, shape, tokens_per_sequence=1.0, head_rows=4.0), {
        # Whole: 8 x 4 down to queries, 8 x 8 to the latent. Halves: 4 x 2 x 5 up to queries, 6 x 2 x 6 to keys, values.
        "qkv": gemm(3, 4, 32 + 64 + 20 + 36, 8 + 3 + 4, kernels=3, vector_ops=4 * (32 + 2 * (3 + 2))),
        "attention_out": gemm(3, 4, 24, 3 + 8, kernels=1, reduced=4 * 8, depth=3),
        # Queries of two heads from the latent of 4, one key of 3, a weight for each head.
        "index_projection": gemm(3, 4, 4 * 6 + 8 * 3 + 8 * 2, 2 * 8 + 6 + 3, kernels=3),
        "ffn_up": gemm(1, 4, 2 * 8 * 5, 8 + 3 * 5, kernels=3, vector_ops=4 * (32 + 15), special_functions=4 * 10,
                       depth=8),
        "ffn_down": gemm(1, 4, 8 * 5, 5 + 8, kernels=1, reduced=4 * 8, depth=5),
        "router": {**gemm(2, 4, 32, 8 + 4, kernels=2, vector_ops=4 * (32 + 3 * 4), special_functions=4 * 4),
                   "of": "head"},
        "shared_experts": gemm(2, 4, 3 * 8 * 3, 2 * (8 + 3), kernels=2, vector_ops=4 * 3 * 3,
                               special_functions=4 * 2 * 3),
        "latent_projections": gemm(2, 4, 2 * 8 * 4, 2 * (8 + 4), kernels=2),
        "expert_copies": {"of": "linear", "times": 2, "rows": slots / touched, "activations": 2 * (slots + 4) * 4,
                          "kernels": 2, "vector_ops": slots * 4},
        "experts": experts,
        "lm_head": {**gemm(1, 4, 8 * 16, 8 + 16, kernels=2, vector_ops=4 * 32, depth=8), "of": "head"},
    })  # fmt: skip


def test_a_decode_step_of_a_hybrid_across_tokens():
    # Two sequences, two tokens of each verified together, 9 tokens of context; each chip has 2 heads and 1 key head.
    # The window of 5 is full in all steps.
    step = decode_attention(HYBRID, Shape(2.0, 10, 10, 2.0), context=9.0, over=(8.5, 9.5), queries=2.0)
    attention = {"of": "attention", "rows": 4, "activations": 4 * 2 * 8, "row_elements": 8, "kernels": 2}
    same(step, {
        "attention": {**attention, "times": 2, "macs": 4 * 2 * 8 * 9, "vector_ops": 4 * 2 * 9 * 3,
                      "special_functions": 4 * 2 * 9, "kv_elements": 2 * 8 * (9 + 2)},
        "attention_window": {**attention, "times": 1, "macs": 4 * 2 * 8 * 5, "vector_ops": 4 * 2 * 5 * 3,
                             "special_functions": 4 * 2 * 5, "kv_elements": 2 * 8 * (5 + 2)},
        # 24 elements, three times; 20 channels of four taps. Read once and written after each of the two tokens:
        # 24 elements and 3 x 20 inputs, 2 bytes each.
        "state": {"of": "attention", "times": 3, "rows": 4, "macs": 4 * (24 * 3 + 20 * 4) / 2,
                  "activations": 4 * (16 + 12) / 2, "state_bytes": 3 * 2 * (24 + 60) * 2 / 2, "kernels": 2},
    })  # fmt: skip


@pytest.mark.parametrize(("split", "share", "sent"), [("heads", 1, 0), ("batch", 2 / 3, 1), ("context", 1 / 2, 2)])
def test_a_decode_step_of_latent_attention_across_tokens(split, share, sent):
    # Three sequences. Dealt out by heads: one of two heads and the whole latent; by sequences: two of the three; by
    # tokens: half. Queries and what they found are then sent: 2 heads x (6 + 2 + 6) elements, those of a half of the
    # sequences or of all, less what stays on the chip.
    heads = 1 if split == "heads" else 2 * share
    step = decode_attention(MIXTURE, Shape(3.0, 10, 10, 2.0, cache_split=split), context=9.0, over=(8.5, 9.5))
    between = {"exchanges": 2, "exchanged": 3 * 2 * 14 * (sent / 2) / 2} if sent else {}
    same(step, {
        "attention": {"of": "attention", "times": 3, "rows": 3, "macs": 3 * heads * 14 * 4, "row_elements": 14,
                      "activations": 3 * heads * 6, "vector_ops": 3 * heads * 4 * 3,
                      "special_functions": 3 * heads * 4, "kv_elements": 3 * 8 * share * (4 + 1), "kernels": 2,
                      **between},
        "index": {"of": "attention", "times": 3, "rows": 3, "macs": 3 * 2 * 3 * 9, "activations": 3 * (2 + 1) * 3,
                  "kv_elements": 3 * 3 * (9 + 1), "kernels": 2, "vector_ops": 3 * 2 * 9 * 3},
    })  # fmt: skip
    # Of tokens that are verified together each chooses its own four, of no more than there are; the index meets all.
    for queries, read in ((2.0, 8), (3.0, 9)):
        several = Shape(3.0, 10, 10, 2.0, cache_split=split)
        step = told(decode_attention(MIXTURE, several, context=9.0, over=(8.5, 9.5), queries=queries))
        assert step["attention"]["kv_elements"] == pytest.approx(3 * 8 * share * (read + queries))
        assert step["attention"]["macs"] == pytest.approx(queries * 3 * heads * 14 * 4)
        assert step["index"]["kv_elements"] == 3 * 3 * (9 + queries)
    # Alone, a chip sends nothing.
    alone = decode_attention(MIXTURE, Shape(3.0, 10, 10, cache_split=split), context=9.0, over=(8.5, 9.5))
    assert not alone.exchanges.any() and not alone.exchanged.any()


@pytest.mark.parametrize(
    ("model", "chips", "split", "sharing"),
    [
        # Four heads over two key heads; on two chips two over one, on four one over one; undivided by other splits.
        (HYBRID, 1.0, "heads", 2), (HYBRID, 2.0, "heads", 2), (HYBRID, 4.0, "heads", 1), (HYBRID, 4.0, "context", 2),
        # The latent is one for all heads, and every chip has it.
        (MIXTURE, 1.0, "heads", 2), (MIXTURE, 2.0, "heads", 1), (MIXTURE, 2.0, "batch", 2),
        # Eight chips have half of a head's queries each at least.
        (HYBRID, 8.0, "heads", 1),
    ],
)  # fmt: skip
def test_queries_that_share_a_key_head(model, chips, split, sharing):
    assert shared_queries(model, Shape(1.0, 10, 10, chips, cache_split=split)) == sharing


def test_the_largest_kind_of_layer_says_how_many_queries_share_and_none_where_there_is_none():
    kinds = [{"layers": 1, "kv_heads": 4}, {"layers": 2, "kv_heads": 1}]
    assert shared_queries(HYBRID.model_validate({**BASE, "attention_layers": kinds}), Shape(1.0, 10, 10)) == 4
    without = {**BASE, "attention": "none", "state_layers": [STATE]}
    assert shared_queries(HYBRID.model_validate(without), Shape(1.0, 10, 10)) == 1


@pytest.mark.parametrize("prefix", [0, 4])
def test_a_prompt_across_tokens(prefix):
    # Seven tokens, of which four may be cached: each new one meets itself and all before it.
    met = range(prefix + 1, 8)
    new = len(met)
    shape = Shape(2.0, 7, 10, 2.0, prefix_tokens=prefix)
    pairs, near, chosen = (sum(min(one, most) for one in met) for most in (9, 5, 4))
    plain = {"of": "attention", "rows": 2 * new, "kernels": 1}
    attention = {**plain, "activations": 2 * new * 2 * 8, "row_elements": 8}
    # A chunk is not told: 24 elements three times for each token, and the convolution.
    same(prefill_attention(HYBRID, shape), {
        "attention": {**attention, "times": 2, "macs": 2 * 2 * 8 * pairs, "vector_ops": 2 * 2 * pairs * 3,
                      "special_functions": 2 * 2 * pairs, "kv_elements": 2 * 8 * (2 * new + prefix)},
        "attention_window": {**attention, "times": 1, "macs": 2 * 2 * 8 * near, "vector_ops": 2 * 2 * near * 3,
                             "special_functions": 2 * 2 * near, "kv_elements": 2 * 8 * (2 * new + min(prefix, 5))},
        "state": {**plain, "times": 3, "macs": 2 * new * (24 * 3 + 80) / 2, "activations": 2 * new * 28 / 2,
                  "state_bytes": (2 if prefix else 1) * 2 * (24 + 60) * 2 / 2},
    })  # fmt: skip
    same(prefill_attention(MIXTURE, shape), {
        "attention": {**plain, "times": 3, "macs": 2 * (3 + 2 + 3) * chosen, "vector_ops": 2 * chosen * 3,
                      "special_functions": 2 * chosen, "row_elements": 8, "activations": 2 * new * 6,
                      "kv_elements": 2 * 8 * (2 * new + min(prefix, 4))},
        "index": {**plain, "times": 3, "macs": 2 * 2 * 3 * pairs, "activations": 2 * new * 9,
                  "kv_elements": 2 * 3 * (2 * new + prefix), "vector_ops": 2 * 2 * pairs * 3},
    })  # fmt: skip


def test_what_both_hold():
    # 9 tokens of 2 x 8 elements in two layers and 5 in one, half on a chip; three states of 84 elements, half of each.
    shape = Shape(2.0, 10, 10, 2.0)
    assert kv_cache_elements(HYBRID, shape, tokens=9.0) == 2 * (2 * 9 + 5) * 8
    assert cache_bytes(HYBRID, shape, tokens=9.0, kv_bits=8.0) == 2 * (2 * 9 + 5) * 8 + 2 * 3 * 84 * 2 / 2
    assert kv_cache_elements(MIXTURE, shape, tokens=9.0) == 2 * 9 * 3 * (8 + 3)
    # Attention 8 x 16 of queries, as much of keys and values and of the output; states 256 and their output 64.
    body = 3 * (128 + 128 + 128) + 3 * (256 + 64) + 6 * 3 * 8 * 16 + 6 * 16 + 24
    # Convolutions 20 x 4, three per head of four and a norm of 8; norms of each layer's two parts, and the last.
    small = 3 * (80 + 12 + 8) + 8 * (6 + 6) + 8 + 5
    count = count_parameters(HYBRID)
    assert (count.body, count.small, count.embedding, count.head) == (body, small, 32 * 8 + 7, 32 * 8)
    assert (count.experts, count.active, expert_fraction(HYBRID)) == (0, body + small + 2 * 32 * 8, 0.0)
    assert active_expert_fraction(HYBRID) == 0.0 and layer_weights(HYBRID) == LayerWeights(0, 0, 0, 0)
    # Queries 8 x 4 and 4 x 10, latent 8 x 8 and 6 x 12, output 6 x 8, index 64; the dense layer; in two layers router,
    # shared expert, two projections of latents, and four experts of 3 x 4 x 6.
    attention = 32 + 40 + 64 + 72 + 48 + 64
    each, around = 3 * 4 * 6, 32 + 3 * 8 * 6 + 64
    count, rest = count_parameters(MIXTURE), 3 * attention + 3 * 8 * 10 + 2 * around
    assert (count.body, count.experts) == (rest + 2 * 4 * each, 2 * 4 * each)
    # Norms of two parts of three layers, the last, and of both latents; four biases of each router.
    assert count.small == 8 * (3 + 3) + 8 + 3 * (4 + 6) + 2 * 4
    assert count.active == rest + 2 * 2 * each + count.small + 2 * 32 * 8
    assert active_expert_fraction(MIXTURE) == pytest.approx(2 * 2 * each / (rest + 2 * 2 * each))
    assert expert_fraction(MIXTURE) == pytest.approx(2 * 4 * each / count.total)


FORMATS = Formats(weight_bits=4, head_bits=8, kv_bits=8, activation_bits=16, expert_bits=2, wide_bits=32)


def amounts(record):
    return {name: float(value.reshape(-1)[0]) for name, value in record.items()}


def test_memory_of_a_hybrid_on_two_chips_and_of_what_it_drafts():
    # Two sequences of 7 + 3 tokens. Stored weights: matrices of 4 bits, embedding with its table and head of 8, the
    # rest of 32. A prompt's chunk of 5 tokens is 2 x (8 + 16) elements wide: a block's width beats the states'.
    count = count_parameters(HYBRID)
    small, cache, states = count.small * 4, 2 * (2 * 10 + 5) * 16, 2 * 3 * 84 * 2
    serving = ServingConfig(HYBRID, 2.0, 7.0, 3.0, tensor_parallel=2.0)
    whole = amounts(vars(footprint(serving, FORMATS, chunk_rows=5.0)))
    held = (count.body - 6 * 16 - 24) / 2 + 6 * 16 + 24
    most = held / 2 + small + (32 * 8 + 32 * 8 + 7) / 2 + (cache + states) / 2 + 5 * 48 * 2 / 2
    assert whole == pytest.approx({
        "weights_bytes": count.body / 2 + small + (2 * 32 * 8 + 7), "kv_bytes": cache + states,
        "activations_bytes": 5 * 48 * 2, "most_loaded_bytes": most, "written_bytes": (cache + states + 5 * 48 * 2) / 2,
    })  # fmt: skip
    parts = amounts(held_tensors(serving, FORMATS, chunk_rows=5.0))
    assert sum(parts.values()) == pytest.approx(most)
    assert parts == pytest.approx({
        "dense": held / 2 + small, "experts": 0, "head": 32 * 8 / 2, "embedding": (32 * 8 + 7) / 2,
        "cache": cache / 2, "index": 0, "state": states / 2, "activations": 5 * 48,
    })  # fmt: skip
    # Of memory that holds weights alone a chip needs as much beside what is written, where that is more.
    for room, least in ((1e6, (cache + states + 480) / 2 + 1e6), (1.0, most)):
        beside = footprint(serving, FORMATS, chunk_rows=5.0, read_mostly_bytes=room)
        assert beside.most_loaded_bytes == pytest.approx(least)
    # Two tokens of each sequence that are verified lie in the cache too, and leave a state each to go back to.
    copied = ServingConfig(HYBRID, 2.0, 7.0, 3.0, tensor_parallel=2.0, speculation=Speculation(2.0, 0.5))
    longer, left = 2 * (2 * 12 + 5) * 16, 2 * states
    assert footprint(copied, FORMATS, chunk_rows=5.0).kv_bytes == pytest.approx(longer + states + left)
    assert held_tensors(copied, FORMATS, chunk_rows=5.0)["state"] == pytest.approx((states + left) / 2)
    # A draft adds what it takes alone, but for activations, which both use in turn, and a vocabulary that both share.
    drafted = replace(copied, speculation=Speculation(2.0, 0.5, draft=MIXTURE))
    draft = replace(serving, model=MIXTURE)
    alone, both, own = (amounts(vars(footprint(one, FORMATS, chunk_rows=5.0))) for one in (copied, drafted, draft))
    for name in ("weights_bytes", "kv_bytes"):
        assert both[name] == pytest.approx(alone[name] + own[name])
    assert both["activations_bytes"] == max(alone["activations_bytes"], own["activations_bytes"])
    for name in ("most_loaded_bytes", "written_bytes"):
        assert both[name] == pytest.approx(alone[name] + own[name] - own["activations_bytes"] / 2)
    shared = replace(drafted, speculation=Speculation(2.0, 0.5, draft=MIXTURE, shares_vocabulary=True))
    saved = both["most_loaded_bytes"] - footprint(shared, FORMATS, chunk_rows=5.0).most_loaded_bytes
    assert saved == pytest.approx(2 * 32 * 8 / 2)
    assert request_cache_bytes(serving, 4.0, 8.0) == (2 * 4 + 4) * 16 + 3 * 84 * 2
    assert request_cache_bytes(drafted, 4.0, 8.0) == (2 * 4 + 4) * 16 + 3 * 84 * 2 + 3 * 4 * 11


def test_memory_of_a_mixture_in_stages_with_replicas_and_a_prefix():
    # Three layers in two stages: two of three on the fuller chip. Four of ten tokens are a prefix that is held once.
    serving = ServingConfig(
        MIXTURE, 2.0, 7.0, 3.0, stages=2.0, parallelism="pipeline", replicas=2.0, prefix_tokens=4.0, expert_parallel=2.0
    )
    count, cache = count_parameters(MIXTURE), (2 * 6 + 4) * 3 * 11
    parts = amounts(held_tensors(serving, FORMATS, chunk_rows=100.0))
    # Each of two stages works on one sequence of the two; of its prompt three tokens are computed, 2 x (8 + 10) wide.
    assert parts == pytest.approx({
        "dense": ((count.body - count.experts - 64) / 2 + count.small * 4) * 2 / 3,
        "experts": count.experts / 2 / 4 * 2 / 3,
        "head": (64 + 32 * 8) * 2 / 3, "embedding": 32 * 8 * 2 / 3, "cache": (2 * 6 + 4) * 3 * 8 * 2 / 3,
        "index": (2 * 6 + 4) * 3 * 3 * 2 / 3, "state": 0, "activations": 3 * 36 * 2,
    })  # fmt: skip
    whole = footprint(serving, FORMATS, chunk_rows=100.0)
    assert whole.kv_bytes == 2 * cache and whole.most_loaded_bytes == pytest.approx(sum(parts.values()))
    assert whole.weights_bytes == (count.body - count.experts) / 2 + count.experts / 4 + 2 * 32 * 8 + count.small * 4
    assert (serving.chips, serving.sequences, serving.decode_steps, serving.batch_parts) == (4, 4, 2, 2)
    assert (serving.computed_tokens, serving.shape.batch, serving.step_rows) == (3, 1, 1)
    assert replace(serving, prompt_tokens=0.0).decode_steps == 3
    assert replace(serving, parallelism="layer_split").shape.batch == 2
    assert replace(serving, batch=5.0).shape.batch == 3 and replace(serving, batch=1.0).batch_parts == 1

"""Speculative decoding: the acceptance law, what drafts and further rows cost, and the simulation as judge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Drafting, Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.queue_chain import Traffic
from cost_models.workload.param_count import count_parameters
from cost_models.workload.speculation import Speculation, mtp_module
from dse.analysis.simulated_engine import SimulatedEngine, engine_of
from dse.analysis.simulation import simulate

TECHNOLOGY = Technology()


def served(drafting=None, *, model="llama3_70b", chip="h100_sxm", fmt="fp8", **fields):
    fields = {"batch": 8.0, "prompt_tokens": 1024.0, "output_tokens": 256.0, "n_chips": 2, **fields}
    return serve_chip(ChipSetup(chip, fmt), Workload("w", model, drafting=drafting, **fields), TECHNOLOGY)


def metrics_of(*args, **fields):
    values = workload_metrics(served(*args, **fields), TECHNOLOGY)
    return {name: float(value[0]) for name, value in values.items()}


@given(st.integers(0, 12), st.floats(0, 1))
def test_tokens_per_step_follow_the_acceptance_law(draft_tokens, acceptance):
    drafts = Speculation(draft_tokens, acceptance)
    chances = [acceptance**j * (1 - acceptance) for j in range(draft_tokens)] + [acceptance**draft_tokens]
    gained = np.arange(1, draft_tokens + 2)
    assert sum(chances) == pytest.approx(1)
    assert drafts.tokens_per_step == pytest.approx(np.dot(chances, gained))
    assert drafts.step_variance == pytest.approx(np.dot(chances, gained**2) - np.dot(chances, gained) ** 2, abs=1e-9)
    if acceptance < 1:
        assert drafts.tokens_per_step == pytest.approx((1 - acceptance ** (draft_tokens + 1)) / (1 - acceptance))


def test_numbers_may_be_columns():
    drafts = Speculation(np.array([0, 3, 3, 3]), np.array([0.5, 0.0, 0.5, 1.0]))
    np.testing.assert_allclose(drafts.tokens_per_step, [1, 1, 1.875, 4])


@pytest.mark.parametrize("draft", ["ngram", "mtp", "llama3_8b"])
@pytest.mark.parametrize("batching", ["static", "in_flight"])
def test_no_drafted_token_is_no_speculation(draft, batching):
    assert metrics_of(Drafting(0, 0.7, draft), batching=batching) == pytest.approx(
        metrics_of(batching=batching), rel=1e-12, nan_ok=True
    )


def test_drafts_that_are_always_refused_cost_their_time():
    alone, drafted = served(), served(Drafting(4, 0.0, "llama3_8b"))
    draft = served(model="llama3_8b").inference
    rows = served(Drafting(4, 0.0, "ngram")).inference
    assert rows.decode_s[0] >= alone.inference.decode_s[0]
    assert drafted.inference.decode_s == pytest.approx(rows.decode_s + 4 * draft.decode_s)
    assert drafted.inference.prefill_s == pytest.approx(alone.inference.prefill_s + draft.prefill_s)


def test_drafts_that_are_always_accepted_give_all_their_rows():
    alone, drafted = served().inference, served(Drafting(4, 1.0, "ngram")).inference
    assert drafted.decode_s == pytest.approx(drafted.decode.pass_s / 5)
    # Little is read but weights, so that further rows are nearly free.
    assert alone.decode_s[0] / 5 <= drafted.decode_s[0] < alone.decode_s[0] / 4


def test_a_draft_takes_the_memory_and_the_energy_that_it_takes_by_itself():
    drafting = Drafting(3, 0.6, "llama3_8b")
    alone, drafted, draft = served(), served(drafting), served(model="llama3_8b")
    rows = served(Drafting(3, 0.6, "ngram"))
    held, more, own = (one.inference.footprint for one in (rows, drafted, draft))
    assert more.weights_bytes == pytest.approx(held.weights_bytes + own.weights_bytes)
    assert more.kv_bytes == pytest.approx(held.kv_bytes + own.kv_bytes)
    assert more.most_loaded_bytes[0] > held.most_loaded_bytes[0] > alone.inference.footprint.most_loaded_bytes[0]
    each = 1 + 0.6 + 0.6**2 + 0.6**3
    spent = (rows.inference.pass_energy.board_j + 3 * draft.inference.decode_energy.board_j) / each
    assert drafted.inference.decode_energy.board_j == pytest.approx(spent)
    assert sum(drafted.inference.decode_energy.parts_j.values()) > 0


def test_more_rows_touch_more_experts_and_read_a_dense_model_once():
    def weights(drafting, model):
        work = served(drafting, model=model, batch=2.0, n_chips=8).inference.decode
        return float(work.sum(work.times.weight_bytes)[0])

    drafting = Drafting(7, 0.7, "ngram")
    assert weights(drafting, "llama3_70b") == weights(None, "llama3_70b")
    # Two tokens choose 16 of 256 experts at most, sixteen 128.
    assert weights(drafting, "deepseek_v3") > 2 * weights(None, "deepseek_v3")


def test_a_module_for_further_tokens_has_the_weights_that_its_maker_publishes():
    """DeepSeek-V3's weight files: a layer of 11.5 B parameters, 1.5 B active with the head of 0.9 B."""
    model = shipped_library().model("deepseek_v3")
    count, joining = count_parameters(mtp_module(model)), 2 * model.d_model**2
    assert (count.body + count.small - joining) / 1e9 == pytest.approx(11.5, rel=0.002)
    assert (count.active - count.embedding - joining) / 1e9 == pytest.approx(1.5, rel=0.01)
    shared = served(Drafting(1, 0.8, "mtp"), model="deepseek_v3", n_chips=8).inference.footprint
    rows = served(Drafting(1, 0.8, "ngram"), model="deepseek_v3", n_chips=8).inference.footprint
    assert (shared.weights_bytes - rows.weights_bytes)[0] / 1e9 == pytest.approx(11.61, rel=0.01)


def test_a_model_without_attention_has_no_module_that_drafts():
    with pytest.raises(ValueError, match="no layer of attention"):
        mtp_module(shipped_library().model("llama3_8b").model_copy(update={"attention": "none"}))


@given(
    batch=st.integers(1, 128), draft_tokens=st.integers(1, 8), acceptance=st.floats(0, 1),
    draft=st.sampled_from(["ngram", "mtp", "llama3_8b"]),
)  # fmt: skip
def test_no_speculation_beats_its_bound_and_more_acceptance_never_slows(batch, draft_tokens, acceptance, draft):
    chance = np.array([acceptance, min(acceptance + 0.05, 1.0)])
    result = served(Drafting(draft_tokens, chance, draft), batch=float(batch), n_chips=4).inference
    assert (result.decode_s >= result.bound_s * (1 - 1e-12)).all()
    assert result.decode_s[1] <= result.decode_s[0]
    assert (result.decode_energy.board_w <= result.machine.tdp_w * 4 * (1 + 1e-9)).all()


def test_draws_of_the_simulation_follow_the_law():
    engine = SimulatedEngine(np.zeros(2), 0.0, 0.0, 1.0, 1, draft_tokens=3, acceptance=0.6)
    rng, tokens, expected = np.random.default_rng(1), 3000, 1 + 0.6 + 0.6**2 + 0.6**3
    steps = [engine.steps_for(tokens, rng) for _ in range(50)]
    assert np.mean(steps) == pytest.approx(tokens / expected, rel=0.01)
    assert engine.steps_for(4, rng) <= 4


@pytest.mark.parametrize(("rate", "output"), [(0.3, 256.0), (1.0, 128.0)])
def test_users_of_drafted_tokens_see_what_the_simulation_sees(rate, output):
    users = served(
        Drafting(4, 0.7, "mtp"), batch=1.0, batching="continuous", output_tokens=output,
        traffic=Traffic(arrivals_per_s=rate),
    ).users  # fmt: skip
    assert users is not None
    seen = users.served
    run = simulate(
        engine_of(users.result), prompt_tokens=1024, output_tokens=output, arrivals_per_s=rate, requests=3000
    )
    measured = run.tpot_s[np.isfinite(run.tpot_s)]
    assert users.queue.steps.decode_steps * 2.7731 == pytest.approx(output - 1, rel=1e-4)
    assert seen.tpot.mean_s[0] == pytest.approx(measured.mean(), rel=0.03)
    assert seen.tpot.quantile_s(0.95)[0] == pytest.approx(np.quantile(measured, 0.95), rel=0.05)
    assert seen.ttft.mean_s[0] == pytest.approx(run.ttft_s.mean(), rel=0.08)
    assert seen.concurrency[0] == pytest.approx(run.mean_requests, rel=0.07)


@pytest.mark.parametrize("chips", [1, 4])
def test_a_draft_writes_beside_the_model_but_shares_its_activations(chips):
    alone = served(Drafting(4, 0.7, "ngram"), model="llama3_70b", n_chips=chips).inference.footprint
    draft = served(model="llama3_8b", n_chips=chips).inference.footprint
    both = served(Drafting(4, 0.7, "llama3_8b"), model="llama3_70b", n_chips=chips).inference.footprint
    shared = np.maximum(alone.activations_bytes, draft.activations_bytes) / chips
    apart = [one.written_bytes - one.activations_bytes / chips for one in (alone, draft)]
    assert both.written_bytes == pytest.approx(sum(apart) + shared)

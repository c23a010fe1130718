"""Cached prefixes: bounds, closed forms, what they cost, and the simulation as judge."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.step_times import most_requests
from cost_models.workload.mixing import cache_bytes
from dse.errors import SpecError
from dse.sweep import parse_spec
from tests.cli import call
from tests.sweeps import tiny

SHARES = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
MODELS = ("llama3_70b", "gemma2_27b", "deepseek_v3")
"""Full attention; windows; a latent of all heads, with experts."""


def served(model="llama3_70b", batching="static", chips=8, limits=None, **fields):
    workload = Workload(
        "w", model, n_chips=chips, batching=batching, **{"prompt_tokens": 4096.0, "output_tokens": 256.0, **fields}
    )
    return serve_chip(ChipSetup("h200_sxm", "fp8", act_bits=8), workload, Technology(), limits=limits)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("batching", ["static", "in_flight", "continuous"])
def test_a_prefix_of_nothing_changes_no_bit(model, batching):
    limits = Slo(2000.0, 60.0)
    without, with_none = (served(model, batching, limits=limits, prefix_cached=one) for one in (np.nan, 0.0))
    one, other = (workload_metrics(each, Technology()) for each in (without, with_none))
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


@pytest.mark.parametrize("model", MODELS)
def test_more_cached_is_sooner_read_and_takes_less_memory(model):
    inference = served(model, batch=16.0, prefix_cached=SHARES).inference
    assert (np.diff(inference.prefill_s) < 0).all()
    assert (np.diff(inference.footprint.kv_bytes) < 0).all()
    # Decode reads a cached token like any other.
    np.testing.assert_array_equal(inference.decode_s, served(model, batch=16.0).inference.decode_s)


def test_all_of_a_prompt_leaves_one_token_to_compute_and_tokens_are_told_by_their_number():
    whole = served(prefix_cached=np.array([1.0, 4095.0, 1e6])).serving
    np.testing.assert_array_equal(whole.computed_tokens, 1.0)
    assert served(prefix_cached=2.0).serving.computed_tokens == 4094
    assert served(prefix_cached=1024.0).serving.computed_tokens == 3072
    assert served(prefix_cached=0.25).serving.computed_tokens == 3072


@pytest.mark.parametrize("model", MODELS)
def test_the_rest_of_a_prompt_computes_what_the_prefix_did_not(model):
    """Every token meets its predecessors once: the work of a prompt is that of its prefix and of its rest."""

    def macs(**fields):
        work = served(model, **fields).inference.prefill
        every = work.operators.macs * work.operators.times
        head = np.array([name == "lm_head" for name in work.operators.names])
        return every[~head].sum(axis=0)[0]

    assert macs(prefix_cached=1500.0) + macs(prompt_tokens=1500.0) == pytest.approx(macs(), rel=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_a_prefix_is_held_once(model):
    serving = served(model, batch=16.0, prefix_cached=1024.0).serving
    inference = served(model, batch=16.0, prefix_cached=1024.0).inference
    one = replace(serving.shape, batch=1.0, tensor_parallel=1.0)
    own, shared = (cache_bytes(serving.model, one, tokens=tokens, kv_bits=16.0)[()] for tokens in (3072 + 256, 1024))
    np.testing.assert_allclose(inference.footprint.kv_bytes, 16 * own + shared)


def test_goodput_and_places_grow_and_waits_fall_with_what_is_cached():
    users = [served(batching="continuous", limits=Slo(1000.0, 40.0), prefix_cached=share).users for share in SHARES]
    assert (np.diff([one.goodput_per_s[0] for one in users]) > 0).all()
    assert (np.diff([most_requests(one.result)[0] for one in users]) > 0).all()
    loaded = served(batching="continuous", prefix_cached=SHARES, traffic=Traffic(arrivals_per_s=3.0)).users.served
    assert (np.diff(loaded.ttft.mean_s) < 0).all() and (np.diff(loaded.tpot.mean_s) < 0).all()


def test_computed_cached_and_output_tokens_pay_for_the_request_between_them():
    kinds = ("", "input_", "cached_", "output_")
    one = served(batching="continuous", limits=Slo(2000.0, 50.0), prefix_cached=3000.0)
    names = [f"usd_per_million_{kind}tokens" for kind in kinds]
    found = workload_metrics(one, Technology(), names)
    whole, computed, cached, written = (found[name][0] for name in names)
    assert computed * 1096 + cached * 3000 + written * 256 == pytest.approx(whole * 256)
    assert 0 < cached < computed < written
    bare = workload_metrics(served(batching="continuous", limits=Slo(2000.0, 50.0)), Technology(), names)
    assert np.isnan(bare[names[2]]).all()


def test_the_simulation_of_a_cached_prefix_is_near_the_closed_form():
    words = "llama3_8b batching=continuous prompt_tokens=2048 output_tokens=64 n_chips=2 arrivals_per_s=1"
    found = []
    for cached in ("", " prefix_cached=0.75"):
        result = call(
            "explain", "2x l4 weight_format=fp8", "--workload", words + cached, "--simulate",
            "--format", "json",
        )  # fmt: skip
        assert result.status == 0, result.err
        rows = {row["metric"]: row for row in json.loads(result.out)}
        for name in ("ttft_ms", "tpot_ms", "concurrency"):
            assert rows[name]["closed_form"] == pytest.approx(rows[name]["simulated"], rel=0.15), name
        found.append(rows["ttft_ms"]["simulated"])
    assert found[1] < found[0] / 2


def test_a_prefix_that_cannot_be_is_refused():
    for chat, said in (
        ({"model": "llama3_8b", "prompt_tokens": 500, "prefix_cached": 600}, "prompt_tokens 500"),
        ({"model": "vit_22b", "prefix_cached": 0.5}, "caches nothing"),
        ({"model": "llama3_8b", "prefix_cached": -1}, "prefix_cached"),
    ):
        with pytest.raises(SpecError, match=said):
            parse_spec(tiny(workloads={"chat": chat}))


def test_a_prefix_of_one_token_has_a_price():
    names = ("usd_per_million_cached_tokens", "cached_j_per_token")
    for tokens in (1.0, 2.0):
        one = served(batching="continuous", limits=Slo(2000.0, 60.0), prefix_cached=tokens / 4096.0)
        assert one.serving.cached_tokens == tokens
        assert all(value > 0 for value in workload_metrics(one, Technology(), names).values())

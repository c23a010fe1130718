import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.envelope import envelope_machine, least_work
from cost_models.performance.inference import Inference
from cost_models.performance.mix import MIXED, mix_metrics
from cost_models.performance.operating_point import Slo, meets, operating_point
from cost_models.performance.serving_stack import software
from cost_models.table import Choice
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig
from dse.analysis.explain.curve import baseline_curves, design_curves
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import parse_spec

IDEAL = software(Choice.of("ideal"), Technology())
REAL = software(Choice.of("static_compiled"), Technology())
FORMATS = Formats(4.0, 16.0, 8.0, 16.0)


def serving(batch, model="llama2_70b"):
    return ServingConfig(shipped_library().model(model), np.atleast_1d(float(batch)), 512.0, 512.0)


@settings(max_examples=12, deadline=None)
@given(st.floats(200, 4000), st.floats(20, 800), st.floats(40, 400), st.floats(10, 200), st.floats(500, 60_000))
def test_the_largest_batch_is_the_last_that_keeps_its_limits(gbps, tflops, gib, tpot, ttft):
    machine = envelope_machine(
        bandwidth_bytes_per_s=gbps * 1e9, mac_per_s=tflops * 5e11, capacity_bytes=gib * 2**30, sram_bytes=2.0**26
    )
    limits = Slo(ttft_ms=ttft, tpot_ms=tpot)
    found = operating_point(Inference(serving(7), machine, REAL, FORMATS), limits)
    batch = int(found.batch[0])

    def kept(one):
        return bool(meets(Inference(serving(one), machine, REAL, FORMATS), limits)[0])

    assert batch == 0 or kept(batch)
    assert not kept(batch + 1)
    if batch:
        result = Inference(serving(batch), machine, REAL, FORMATS)
        assert found.tokens_per_s[0] == pytest.approx(batch * 512 / result.request_s[0])


def test_no_limits_leave_what_memory_holds():
    machine = envelope_machine(bandwidth_bytes_per_s=1e12, mac_per_s=1e14, capacity_bytes=80 * 2.0**30)
    result = operating_point(Inference(serving(1), machine, IDEAL, FORMATS), Slo())
    batch = int(result.batch[0])
    fits = [bool(Inference(serving(b), machine, IDEAL, FORMATS).fits[0]) for b in (batch, batch + 1)]
    assert fits == [True, False]


def test_the_least_work_of_a_step_is_weights_and_cache_read_once():
    # Closed form of Llama-2-70B: 68.45 G body and 0.26 G head weights, 163 840 KV elements per token.
    work = least_work(serving(32), IDEAL, FORMATS)
    body, head = 80 * (8192 * 8192 * 2 + 2 * 8192 * 1024 + 3 * 8192 * 28672), 8192 * 32000
    context = 512 + 513 / 2
    cache = 32 * 163_840 * (context + 1)
    assert work["decode_bytes"][0] == pytest.approx(body * 0.5 + head * 2 + cache, rel=1e-9)
    attention = 32 * 64 * 128 * 2 * 80 * context
    assert work["decode_macs"][0] == pytest.approx(32 * (body + head) + attention, rel=1e-9)


def test_a_vision_transformer_has_no_decode_and_no_cache():
    spec = parse_spec(
        {
            "name": "vision",
            "workloads": {"eye": {"model": "vit_22b", "batch": 8, "prompt_tokens": 257, "output_tokens": 1}},
            "space": {"memory_devices": {"values": [8, 16]}},
            "objectives": [{"metric": "eye.requests_per_s", "direction": "maximize"}],
            "search": {"sampler": "grid"},
        }
    )
    space = Space(spec)
    judged = Evaluator(spec).evaluate(space.grid(0, 2))
    metrics = judged.metrics
    assert np.isfinite(metrics["eye.ttft_ms"]).all() and judged.feasible.any()
    assert np.isnan(metrics["eye.tpot_ms"]).all()
    assert metrics["eye.requests_per_s"] == pytest.approx(8 / metrics["eye.request_s"])
    assert metrics["eye.request_s"] == pytest.approx(metrics["eye.ttft_ms"] / 1e3)


MIX = {
    "name": "mixed",
    "workloads": {
        "long": {"model": "llama3_8b", "batch": 4, "output_tokens": 1000, "tpot_limit_ms": "40 ms"},
        "short": {"model": "llama3_8b", "batch": 8, "output_tokens": 100, "load_tokens_per_s": 5000},
    },
    "mix": {"long": "75 %", "short": 0.25},
    "space": {"memory_devices": {"values": [8, 16]}},
    "objectives": [{"metric": "mix.tokens_per_s", "direction": "maximize"}],
    "baselines": {"card": {"chips": "1x a100_80gb_sxm"}},
    "search": {"sampler": "grid"},
}


def test_a_mix_is_the_mean_token_of_its_workloads():
    spec = parse_spec(MIX)
    evaluator = Evaluator(spec)
    metrics = evaluator.evaluate(Space(spec).grid(0, 2)).metrics
    for name in MIXED:
        assert f"mix.{name}" in metrics
    for values in (metrics, {name: np.array([value]) for name, value in evaluator.baselines["card"].items()}):
        seconds = 0.75 / values["long.tokens_per_s"] + 0.25 / values["short.tokens_per_s"]
        assert values["mix.tokens_per_s"] == pytest.approx(1 / seconds)
        joules = 0.75 / values["long.tokens_per_joule"] + 0.25 / values["short.tokens_per_joule"]
        assert values["mix.tokens_per_joule"] == pytest.approx(1 / joules)
        # 75 tokens in 0.075 requests against 25 in 0.25: three short requests and more for each long one.
        ttft = (0.075 * values["long.ttft_ms"] + 0.25 * values["short.ttft_ms"]) / 0.325
        assert values["mix.ttft_ms"] == pytest.approx(ttft)
        assert (values["mix.chips_needed"] >= values["long.chips_needed"]).all()


def test_a_mix_of_one_is_that_one():
    metrics = {f"a.{name}": np.array([2.0, 3.0]) for name in MIXED}
    mixed = mix_metrics({"a": 1.0}, metrics, {"a": 128})
    assert all(value == pytest.approx([2.0, 3.0]) for value in mixed.values())


def test_limits_come_from_the_workload_or_from_the_constraints():
    sweep = {**MIX, "constraints": [{"metric": "short.ttft_ms", "max": "300 ms"}]}
    limits = Evaluator(parse_spec(sweep)).limits
    assert limits["long"] == Slo(tpot_ms=40)
    assert limits["short"] == Slo(ttft_ms=300, load_tokens_per_s=5000)
    quiet = {**MIX, "workloads": {name: {"model": "llama3_8b"} for name in ("long", "short")}}
    assert Evaluator(parse_spec(quiet)).limits == {"long": None, "short": None}
    requested = {
        **quiet,
        "constraints": [{"metric": "long.max_batch", "min": 4}, {"metric": "long.tpot_ms", "max": 30}],
    }
    assert Evaluator(parse_spec(requested)).limits["long"] == Slo(tpot_ms=30)


@pytest.mark.parametrize(
    ("mix", "says"),
    [
        ({"long": 0.5, "short": 0.4}, "the sum of the shares, 0.9, is not 1"),
        ({"long": 0.5, "shrt": 0.5}, "perhaps short"),
        ({"long": 1.5, "short": -0.5}, "above 0"),
        ({"long": "40 ms", "short": 0.6}, "a number"),
    ],
)
def test_a_mix_that_is_none_is_refused(mix, says):
    with pytest.raises(SpecError) as caught:
        parse_spec({**MIX, "mix": mix})
    assert says in str(caught.value)


def test_a_mix_survives_being_written_out():
    spec = parse_spec(MIX)
    assert parse_spec(spec.resolved()).mix == spec.mix == {"long": 0.75, "short": 0.25}
    assert (
        "mix"
        not in parse_spec(
            {k: v for k, v in MIX.items() if k != "mix"}
            | {"objectives": [{"metric": "long.tokens_per_s", "direction": "maximize"}]}
        ).resolved()
    )


def test_the_curve_is_the_workload_at_every_batch_and_ends_where_memory_does():
    spec = parse_spec({**MIX, "constraints": [{"metric": "long.ttft_ms", "max": "2 s"}]})
    evaluator = Evaluator(spec)
    settings = {"memory_devices": 16.0}
    design = next(curve for curve in design_curves(evaluator, settings, "mine") if curve.workload == "long")
    card = next(curve for curve in baseline_curves(evaluator, "card") if curve.workload == "long")
    at_four = next(point for point in card.points if point.batch == 4)
    assert at_four.metrics["tpot_ms"] == pytest.approx(evaluator.baselines["card"]["long.tpot_ms"])
    for curve in (design, card):
        users = [point.user_tokens_per_s for point in curve.points]
        assert users == sorted(users, reverse=True)
        assert curve.tpot_limit_ms == 40 and curve.ttft_limit_ms == 2000
        kept = [point.within_limits for point in curve.points]
        assert kept == sorted(kept, reverse=True)
    # The metric finds the same batch between the points of the curve.
    best = evaluator.evaluate({"memory_devices": np.array([16.0])}).metrics["long.max_batch"][0]
    above = [point.batch for point in design.points if point.batch > design.max_batch]
    assert design.max_batch <= best and (not above or best < above[0])


def test_rates_of_a_curve_are_the_workload_over_chips_design_limit_and_price():
    spec = parse_spec(MIX)
    evaluator = Evaluator(spec)
    (curve,) = [one for one in baseline_curves(evaluator, "card") if one.workload == "long"]
    entry = spec.baselines["card"]
    assert curve.baseline and len(curve.points) > 5
    for point in curve.points:
        whole = evaluator.baseline(entry.model_copy(update={"batch": point.batch}))
        rate = whole["long.tokens_per_s_end_to_end"]
        assert point.rates["tokens_per_s_per_chip"] * entry.count == pytest.approx(rate)
        assert point.rates["tokens_per_s_per_kw"] == pytest.approx(rate / (whole["tdp_w"] * entry.count / 1e3))
        assert point.rates["tokens_per_s_per_usd"] == pytest.approx(
            rate / (whole["price_usd"] * entry.count), nan_ok=True
        )
        assert point.metrics["tpot_ms"] == pytest.approx(whole["long.tpot_ms"])


def test_where_not_even_one_sequence_keeps_the_limits_nothing_is_served():
    machine = envelope_machine(bandwidth_bytes_per_s=1e12, mac_per_s=1e14, capacity_bytes=np.array([80.0, 8.0]) * 2**30)
    for limits in (Slo(tpot_ms=1e-3), Slo(ttft_ms=1e-3)):
        found = operating_point(Inference(serving(1), machine, REAL, FORMATS), limits)
        assert found.batch.tolist() == found.tokens_per_s.tolist() == [0.0, 0.0]
    free = operating_point(Inference(serving(1), machine, REAL, FORMATS), Slo())
    assert free.batch[1] == free.tokens_per_s[1] == 0.0 < free.tokens_per_s[0]


def test_whole_groups_of_chips_carry_a_load():
    sweep = {**MIX, "constraints": [{"metric": "short.tpot_ms", "max": 1e3}]}
    evaluator = Evaluator(parse_spec(sweep))
    metrics = evaluator.evaluate(Space(evaluator.spec).grid(0, 2)).metrics
    rate = metrics["short.tokens_per_s_at_max_batch"]
    assert metrics["short.chips_for_load"].tolist() == np.ceil(5000 / rate).tolist()
    assert (5000 / rate > 1).all(), "one chip would carry it"
    assert np.isnan(metrics["long.chips_for_load"]).all()
    never = {**MIX, "constraints": [{"metric": "short.tpot_ms", "max": 1e-3}]}
    evaluator = Evaluator(parse_spec(never))
    assert np.isnan(evaluator.evaluate(Space(evaluator.spec).grid(0, 2)).metrics["short.chips_for_load"]).all()

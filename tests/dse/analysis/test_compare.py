import math

import pytest

from dse.analysis.compare import MEASURES, compare, with_baselines
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.sweep import parse_spec

SPEC = parse_spec(
    {
        "name": "side_by_side",
        "workloads": {
            "chat": {"model": "llama2_70b", "batch": 32, "n_chips": 2},
            "giant": {"model": "synthetic_250b_gqa", "required": False},
        },
        "space": {"memory_devices": 16, "memory_device_gib": 8, "link_gbps": 50},
        "objectives": [{"metric": "chat.tpot_ms", "direction": "minimize"}],
        "baselines": {
            "pair": {"chips": "2x a100_80gb_sxm"},
            "again": {"chips": "2x a100_80gb_sxm"},
            "priceless": {"chips": "5x tpu_v4"},
        },
        "search": {"sampler": "grid"},
    }
)
DESIGN = {"memory": "lpddr5x_9600", "memory_devices": 16, "memory_device_gib": 8, "link_gbps": 50, "node": "tsmc_5",
          "kv_bits": 8, "weight_format": "int4_g128"}  # fmt: skip


@pytest.fixture(scope="module")
def chat_and_giant():
    return compare(Evaluator(SPEC), {"mine": DESIGN})


def entries(comparison):
    return {entry.name: entry for entry in comparison.entries}


def test_both_sides_are_the_evaluators_own_numbers(chat_and_giant):
    chat = entries(chat_and_giant[0])
    baseline = Evaluator(SPEC).baselines["pair"]
    for name in ("tpot_ms", "tokens_per_s", "decode_w", "tokens_per_joule", "overhead_fraction"):
        assert chat["pair"].values[name] == baseline[f"chat.{name}"]
    assert list(chat) == ["mine", "pair", "again", "priceless"]
    assert [chat[name].kind for name in chat] == ["design", "baseline", "baseline", "baseline"]


def test_power_and_price_are_those_of_all_chips(chat_and_giant):
    chat = entries(chat_and_giant[0])
    baseline = Evaluator(SPEC).baselines["pair"]
    assert chat["pair"].values["all_tdp_w"] == 2 * baseline["tdp_w"]
    assert chat["pair"].values["all_price_usd"] == 2 * baseline["price_usd"]
    assert chat["mine"].values["chips"] == 2 and chat["priceless"].values["chips"] == 5
    for entry in chat.values():
        rate = entry.values["tokens_per_s"] / entry.values["all_tdp_w"]
        assert entry.values["tokens_per_joule_tdp"] == pytest.approx(rate)


def test_a_price_is_the_sum_of_its_parts_and_who_misses_what_is_said(chat_and_giant):
    chat = entries(chat_and_giant[0])
    mine = chat["mine"].values
    parts = [mine[f"all_{part}_usd"] for part in ("cost", "nre", "margin")]
    assert min(parts) > 0 and sum(parts) == pytest.approx(mine["all_price_usd"])
    terms = Evaluator(SPEC).economics
    assert mine["all_margin_usd"] == pytest.approx(terms.margin * mine["all_price_usd"])
    strict = parse_spec({**SPEC.resolved(), "constraints": [{"metric": "tdp_w", "max": 1}]})
    sides = entries(compare(Evaluator(strict), {"mine": DESIGN})[0])
    assert sides["pair"].missed == {"tdp_w <= 1": pytest.approx(sides["pair"].values["all_tdp_w"] / 2 - 1)}
    assert sides["mine"].missed["tdp_w <= 1"] == pytest.approx(sides["mine"].values["all_tdp_w"] / 2 - 1)
    assert "tdp_w <= 1" not in chat["mine"].missed
    # Of an A100's 400 W, 300 are missed by a third, and 500 are kept.
    limits = [{"metric": "tdp_w", "max": 300}, {"metric": "tdp_w", "max": 500}]
    near = entries(compare(Evaluator(parse_spec({**SPEC.resolved(), "constraints": limits})), {"mine": DESIGN})[0])
    assert near["pair"].missed == {"tdp_w <= 300": pytest.approx(1 / 3)}


def test_ratios_are_values_over_those_of_the_first_baseline(chat_and_giant):
    chat = entries(chat_and_giant[0])
    assert chat_and_giant[0].reference == "pair"
    assert set(chat["pair"].ratios.values()) == set(chat["again"].ratios.values()) == {1.0}
    for name, ratio in chat["mine"].ratios.items():
        assert ratio == pytest.approx(chat["mine"].values[name] / chat["pair"].values[name])


def test_what_has_no_price_is_in_no_ratio(chat_and_giant):
    priceless = entries(chat_and_giant[0])["priceless"]
    assert math.isnan(priceless.values["all_price_usd"]) and math.isnan(priceless.ratios["all_price_usd"])
    assert math.isfinite(priceless.ratios["tokens_per_s"])
    assert chat_and_giant[0].to_json()["entries"][3]["values"]["all_price_usd"] is None


def test_nothing_is_relative_to_what_does_not_run(chat_and_giant):
    giant = entries(chat_and_giant[1])
    assert math.isnan(giant["pair"].values["tpot_ms"]), "500 GB do not fit two of these"
    assert all(math.isnan(ratio) for entry in giant.values() for ratio in entry.ratios.values())


def test_overhead_is_what_lies_above_the_bound(chat_and_giant):
    baseline = Evaluator(SPEC).baselines["pair"]
    share = entries(chat_and_giant[0])["pair"].values["overhead_fraction"]
    assert share == pytest.approx(1 - baseline["chat.roofline_tpot_ms"] / baseline["chat.tpot_ms"])


def test_further_baselines_join_by_their_chips():
    more = with_baselines(SPEC, ["8x h200_sxm weight_format=fp8 kv_bits=8", "h200_sxm", "8x h200_sxm"])
    assert list(more.baselines) == ["pair", "again", "priceless", "h200_sxm_8", "h200_sxm", "h200_sxm_8_more"]
    assert (more.baselines["h200_sxm_8"].weight_format, more.baselines["h200_sxm_8"].kv_bits) == ("fp8", 8)
    assert more.baselines["h200_sxm"].count == 1
    assert with_baselines(SPEC, []) is SPEC


@pytest.mark.parametrize(
    "text", ["8x h2000_sxm", "0x h200_sxm", "8x h200_sxm weight_format=", "8x h200_sxm colour=red"]
)
def test_what_is_no_baseline_is_refused(text):
    with pytest.raises(SpecError):
        with_baselines(SPEC, [text])


def test_every_measure_has_a_value_for_every_side(chat_and_giant):
    for comparison in chat_and_giant:
        for entry in comparison.entries:
            assert list(entry.values) == [measure.name for measure in MEASURES]

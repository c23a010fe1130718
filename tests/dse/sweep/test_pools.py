"""Pools in a sweep file: what is read, what is refused, and that designs, baselines and curves follow."""

import json

import numpy as np
import pytest

from cost_models.table import Table
from dse.analysis.compare import compare
from dse.analysis.explain.curve import baseline_curves, design_curves
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.number_texts import number_text
from dse.runs import explore
from dse.sweep import parse_spec
from tests.cli import call

POOL = {"chips": "1x h100_sxm", "weight_format": "fp8", "kv_bits": 8}
CHAT = {
    "model": "llama3_8b", "batching": "continuous", "prompt_tokens": 1024, "output_tokens": 256,
    "ttft_limit_ms": 1000, "tpot_limit_ms": 50,
}  # fmt: skip


def sweep(deployment=None, *, chat=None, baselines=None, metric="chat.goodput_tokens_per_s"):
    text = {
        "name": "pools",
        "workloads": {"chat": {key: value for key, value in {**CHAT, **(chat or {})}.items() if value is not None}},
        "space": {
            "memory_devices": {"values": [8, 16]}, "memory_device_gib": 16, "macs": {"values": [16384, 65536]},
            "weight_format": "fp8", "kv_bits": 8,
        },
        "objectives": [{"metric": metric, "direction": "maximize"}],
        "search": {"sampler": "grid"},
    }  # fmt: skip
    return text | ({"deployment": deployment} if deployment else {}) | ({"baselines": baselines} if baselines else {})


def issues_of(text):
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    return caught.value.issues


DESIGNS = {"memory_devices": np.array([8.0, 16.0]), "macs": np.array([16384.0, 65536.0])}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (sweep({"prefill": "1x h100_sxn"}), "deployment.prefill.chips", "perhaps 1x h100_sxm"),
        (sweep({"prefill": {**POOL, "weight_format": "int4_g12"}}), "prefill.weight_format", "perhaps int4_g128"),
        (sweep({"prefill": {**POOL, "weigth_format": "fp8"}}), "weigth_format", "perhaps weight_format"),
        (sweep({"prefil": POOL}), "deployment.prefil", "perhaps prefill"),
        (sweep({"prefill": POOL, "network_gbps": 0}), "deployment.network_gbps", "above 0"),
        (sweep({"prefill": POOL, "network_gbps": "50 ms"}), "deployment.network_gbps", "GB/s"),
        (sweep({"prefill": POOL, "decode": "1x l4"}), "deployment", "both pools are chips"),
        (sweep({"prefill": {**POOL, "parallelism": "tp4"}}), "deployment.prefill", "1 chip cannot share chat as tp4"),
        (sweep({"prefill": POOL}, chat={"ttft_limit_ms": None}), "workloads.chat", "no time to first token"),
        (sweep({"prefill": POOL}, chat={"batching": None}, metric="chat.tokens_per_s"), "batching", "continuous"),
        (sweep(metric="chat.prefill_chips"), "objectives[0].metric", "needs chips that only prefill"),
        (sweep(baselines={"gpu": {**POOL, "network_gbps": 50}}), "gpu.network_gbps", "no part without prefill"),
        (sweep(baselines={"gpu": {**POOL, "prefill": "1x h100"}}), "baselines.gpu.prefill.chips", "perhaps"),
    ],
)  # fmt: skip
def test_pools_that_cannot_be_are_refused_with_their_place(text, path, words):
    (issue,) = issues_of(text)
    assert issue.path.endswith(path) and words in str(issue)


def both(**space):
    text = sweep({"prefill": "design"})
    return {**text, "space": {**text["space"], **space}}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (both(**{"prefill.mac": 65536}), "prefill.mac", "perhaps prefill.macs"),
        (both(**{"prefill.memory": {"values": ["gddr8"]}}), "prefill.memory.values[0]", "memory grade"),
        ({**sweep(), "space": {"prefill.macs": 65536}}, "prefill.macs", "not a parameter"),
        ({**sweep({"prefill": POOL}), "space": {"prefill.macs": 65536}}, "prefill.macs", "perhaps macs"),
    ],
)
def test_parameters_of_a_design_that_prefills_are_refused_where_there_is_none(text, path, words):
    (issue,) = issues_of(text)
    assert issue.path.endswith(path) and words in str(issue)


def test_both_designs_are_searched_and_each_has_its_limits():
    reader = {
        "prefill.memory": "gddr7_28", "prefill.memory_devices": 16, "prefill.memory_device_gib": 2,
        "prefill.memory_device_bits": 32, "prefill.macs": {"values": [65536, 262144]},
    }  # fmt: skip
    spec = parse_spec(both(**reader))
    assert parse_spec(spec.resolved()).hash == spec.hash
    outcome = explore(spec)
    assert outcome.evaluated == 8 and outcome.feasible
    assert {"prefill.macs", "prefill.memory"} <= outcome.picks[0].design.keys()
    shared = {name: value for name, value in outcome.picks[0].design.items() if value is not None}
    macs = np.array([65536.0, 262144.0, 8e6])
    table = {**Table.from_settings(shared), "memory_devices": np.full(3, 16.0), "macs": np.full(3, 65536.0)}
    judged = Evaluator(spec).evaluate({**table, "prefill.macs": macs})
    # More multipliers read more prompts; what decodes stays as it is; a die beyond the reticle is refused.
    chips = judged.metrics["chat.prefill_chips"]
    assert chips[1] < chips[0]
    assert len(set(judged.metrics["tdp_w"])) == 1 and len(set(judged.metrics["chat.prefill_w"])) > 1
    assert judged.margins["prefill.reticle_mm2"][2] < 0 <= judged.margins["reticle_mm2"][2]
    assert list(judged.feasible) == [True, True, False]


def test_every_fault_of_a_deployment_is_told_at_once():
    faults = {"prefill": {"chips": "1x h100_sxn", "kv_bits": 0, "batch": 4}, "decode": "desing", "network": 3}
    assert {issue.path.removeprefix("deployment.") for issue in issues_of(sweep(faults))} == {
        "prefill.chips", "prefill.kv_bits", "prefill.batch", "decode.chips", "network",
    }  # fmt: skip


def test_a_pool_is_a_name_a_mapping_or_the_design_and_survives_being_written_out():
    short, long = (
        parse_spec(sweep({"prefill": pool, "decode": "design"})) for pool in ("1x h100_sxm", {"chips": "h100_sxm"})
    )
    assert short.deployment == long.deployment and short.hash == long.hash
    assert parse_spec(short.resolved()).hash == short.hash != parse_spec(sweep()).hash


def test_the_design_decodes_beside_chips_or_prefills_for_them_or_does_both_apart():
    decoding = Evaluator(parse_spec(sweep({"prefill": POOL}))).evaluate(DESIGNS).metrics
    reading = Evaluator(parse_spec(sweep({"decode": POOL}))).evaluate(DESIGNS).metrics
    both = Evaluator(parse_spec(sweep({"prefill": "design"}))).evaluate(DESIGNS).metrics
    alone = Evaluator(parse_spec(sweep())).evaluate(DESIGNS).metrics
    assert (decoding["chat.goodput_requests_per_s"] > alone["chat.goodput_requests_per_s"]).all()
    assert decoding["chat.prefill_w"][0] == decoding["chat.prefill_w"][1] != reading["chat.prefill_w"][0]
    # More multipliers read more prompts.
    assert reading["chat.prefill_chips"][1] < reading["chat.prefill_chips"][0]
    assert both["chat.tpot_ms"][1] == pytest.approx(decoding["chat.tpot_ms"][1], rel=0.05)
    for one in (decoding, reading, both):
        assert (one["chat.prefill_chips"] > 0).all() and (one["chat.transfer_ms"] > 0).all()
    assert "chat.prefill_chips" not in alone


def test_a_baseline_has_pools_of_its_own_and_a_curve_with_all_its_chips():
    spec = parse_spec(sweep({"prefill": POOL}, baselines={"alone": POOL, "split": {**POOL, "prefill": POOL}}))
    evaluator = Evaluator(spec)
    alone, split = evaluator.baselines["alone"], evaluator.baselines["split"]
    assert np.isnan(alone["chat.prefill_chips"]) and split["chat.prefill_chips"] > 0
    # What is bought in all, whether chips do both or one each.
    assert alone["chat.deployment_usd"] == alone["price_usd"] and alone["chat.deployment_tdp_w"] == alone["tdp_w"]
    assert split["chat.deployment_usd"] > split["price_usd"] * (1 + split["chat.prefill_chips"])
    curves = {name: baseline_curves(evaluator, name)[0] for name in spec.baselines}
    curves["mine"] = design_curves(evaluator, {"memory_devices": 16.0, "macs": 65536.0}, "mine")[0]
    for name, curve in curves.items():
        assert len(curve.points) > 5
        for point in curve.points:
            chips = 1 + (0 if name == "alone" else point.metrics["prefill_chips"])
            whole = point.metrics["tokens_per_s_end_to_end"]
            assert point.rates["tokens_per_s_per_chip"] == pytest.approx(whole / chips)
        rates = [point.metrics["tokens_per_s_end_to_end"] for point in curve.points]
        assert rates == sorted(rates)


def test_a_deployment_is_checked_explained_and_shown(tmp_path):
    file = tmp_path / "pools.yaml"
    file.write_text(json.dumps(sweep({"prefill": POOL}, baselines={"split": {**POOL, "prefill": POOL}})))
    checked = call("check", str(file))
    assert checked.status == 0 and "prompts by 1x h100_sxm" in checked.out, checked.err
    done = call("run", str(file), "--out", str(tmp_path / "run"), "--draw", "none", "--no-report")
    assert done.status == 0, done.err
    shown = call("show", str(tmp_path / "run"), "--full")
    assert "deployment: prompts by 1x h100_sxm, fp8, KV 8 bit; decoding by the design" in " ".join(shown.out.split())
    explained = call("explain", str(tmp_path / "run"), "--format", "json")
    chat = json.loads(explained.out)["workloads"]["chat"]
    whole = chat["metrics"]["deployment_tdp_w"]
    assert chat["metrics"]["prefill_chips"] > 0
    # Power and price of all chips, and what is compared by the token.
    assert number_text(whole) in shown.out and "cost per token" in " ".join(shown.out.split())
    simulated = call("explain", str(tmp_path / "run"), "--simulate")
    assert simulated.status == 0 and "ttft_p95_ms" in simulated.out, simulated.err
    chosen = call("choose", str(file), "--quiet")
    assert chosen.status == 0, chosen.err
    wrong = call("check", str(file), "--set", "deployment.prefill.chips=1x h100_sxn")
    assert wrong.status == 2 and "perhaps 1x h100_sxm" in wrong.err


def test_compare_sums_both_pools_and_their_ports():
    apart = {**POOL, "chips": "2x h100_sxm", "prefill": POOL}
    spec = parse_spec(sweep({"prefill": "design"}, baselines={"apart": apart}))
    evaluator = Evaluator(spec)
    design = {
        "node": "tsmc_5", "memory": "lpddr5x_9600", "memory_devices": 8, "memory_device_gib": 16, "macs": 65536,
        "weight_format": "fp8", "kv_bits": 8,
    }  # fmt: skip
    entries = {one.name: one for one in compare(evaluator, {"mine": design})[0].entries}
    own = evaluator.evaluate(Table.from_settings(design)).metrics
    for values, metrics in ((entries["mine"].values, own), (entries["apart"].values, evaluator.baselines["apart"])):
        for total, metric in (("all_price_usd", "deployment_usd"), ("all_tdp_w", "deployment_tdp_w")):
            assert values[total] == pytest.approx(float(np.ravel(metrics[f"chat.{metric}"])[0])), metric
    mine = entries["mine"].values
    assert mine["chips"] > 1
    assert mine["all_cost_usd"] + mine["all_nre_usd"] + mine["all_margin_usd"] == pytest.approx(mine["all_price_usd"])

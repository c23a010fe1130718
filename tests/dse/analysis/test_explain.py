import dataclasses
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.table import Table
from dse.analysis.explain.columns import explained, explanation_of
from dse.analysis.explain.designs import explain_baseline, explain_designs
from dse.analysis.explain.inputs import explain_design_file, explain_library_chip, explain_run_row, load_design
from dse.analysis.explain.records import BOUNDS, OUTSIDE
from dse.errors import RunError, SpecError
from dse.evaluator import Evaluator
from dse.render.terminal import Page, print_parts
from dse.render.terminal.explanation import explanation_parts
from dse.runs import run
from dse.sweep import parse_spec
from tests.sweeps import minimized

SWEEP = {
    "name": "tiny",
    "workloads": {
        "chat": {"model": "llama2_70b", "batch": 32, "prompt_tokens": 1024, "output_tokens": 1024},
        "piped": {"model": "llama3_8b", "batch": 6, "n_chips": 4, "parallelism": "pipeline", "required": False},
    },
    "space": {
        "node": "tsmc_5",
        "memory": {"values": ["lpddr5x_9600", "hbm3"]},
        "memory_devices": {"values": [4, 12]},
        "memory_device_gib": 16,
        "link_gbps": 100,
        "memory_device_bits": {"values": [64], "when": {"memory": ["lpddr5x_9600"]}},
        "macs": {"values": [32768, 131072]},
    },
    "objectives": minimized("chat.tpot_ms", "cost_usd"),
    "constraints": [{"metric": "tdp_w", "max": 400}],
    "baselines": {
        "gpu_pair": {"chips": "2x a100_80gb_sxm", "weight_format": "bf16", "kv_bits": 16},
        "hopper": {"chips": "1x h100_sxm", "weight_format": "int4_g128", "kv_bits": 8},
    },
    "search": {"sampler": "grid"},
}
SPEC = parse_spec(SWEEP)
EVALUATOR = Evaluator(SPEC)


def design(**changes):
    settings = {
        "node": "tsmc_5",
        "memory": "lpddr5x_9600",
        "memory_devices": 12,
        "memory_device_gib": 16,
        "link_gbps": 100,
    }
    return Table.from_settings({**settings, **changes})


def explanations():
    yield explain_designs(EVALUATOR, design())
    yield explain_designs(EVALUATOR, design(memory="hbm3", memory_devices=4, weight_format="xor_int4_s50"))
    yield explain_designs(EVALUATOR, design(serving_stack="vllm" if "vllm" in stacks() else stacks()[0]))
    for name in SPEC.baselines:
        yield explain_baseline(EVALUATOR, name)


def stacks():
    from cost_models.library import shipped_library

    return tuple(shipped_library().stacks)


EXPLAINED = tuple(explanations())
PASSES = [
    (one, workload, phase, getattr(table, phase))
    for one in EXPLAINED
    for workload, table in one.workloads.items()
    for phase in ("decode", "prefill")
]


A100_PAIR = "2x a100_80gb_sxm", ["model=llama2_70b,batch=32,prompt_tokens=1024,output_tokens=1024"]


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def test_two_a100_take_37_6_ms_at_least():
    (table,) = explain_library_chip(*A100_PAIR, ["weight_format=bf16"]).workloads.values()
    assert table.decode.bound_ms == pytest.approx(37.6, rel=0.005)
    assert close(sum(row.ms for row in table.decode.operators), table.metrics["tpot_ms"])
    assert table.decode.ms > table.decode.bound_ms
    assert table.fits
    # NVIDIA's datasheet: 312 TFLOPS of dense bf16, 2039 GB/s.
    assert table.roofs == {
        "bandwidth_gbps": pytest.approx(2039),
        **dict.fromkeys(("linear_tflops", "head_tflops", "attention_tflops"), pytest.approx(312)),
    }


def test_chip_baseline_and_command_line_agree():
    baseline, requested = explain_baseline(EVALUATOR, "gpu_pair"), explain_library_chip(*A100_PAIR)
    assert baseline.workloads["chat"] == requested.workloads["llama2_70b"]
    assert baseline.settings == requested.settings


def test_metrics_are_those_of_the_evaluator():
    designs = design()
    one = explain_designs(EVALUATOR, designs)
    result = EVALUATOR.evaluate(designs)
    for name, value in result.metrics.items():
        workload, _, metric = name.rpartition(".")
        explained = one.workloads[workload].metrics[metric] if workload else one.metrics[name]
        assert np.array_equal(explained, value[0], equal_nan=True), name
    assert one.margins == {name: float(margin[0]) for name, margin in result.margins.items()}


@pytest.mark.parametrize(("one", "workload", "phase", "table"), PASSES)
def test_rows_of_a_pass_add_up(one, workload, phase, table):
    assert close(sum(row.ms for row in table.operators), table.ms)
    assert close(sum(row.share for row in table.operators), 1.0)
    assert close(sum(table.spent_ms.values()), table.ms)
    assert close(sum(table.energy_j.values()), table.board_j)
    assert close(sum(table.power_w.values()), table.board_w)
    assert close(table.board_j, table.board_w * table.ms * 1e-3)
    assert min(table.spent_ms.values()) >= -1e-9 * table.ms


@pytest.mark.parametrize(("one", "workload", "phase", "table"), PASSES)
def test_no_operator_beats_its_roof_or_its_bound(one, workload, phase, table):
    assert table.bound_ms <= table.ms
    assert table.operators[-1].name == OUTSIDE
    for row in table.operators[:-1]:
        assert 0 < row.roofline_fraction <= 1 + 1e-9
        assert row.bound in BOUNDS
        assert row.ms >= row.causes_ms[row.bound] * (1 - 1e-6)
        assert row.causes_ms[row.bound] == max(row.causes_ms[cause] for cause in BOUNDS)
        assert close(row.ops_per_byte * row.bytes_moved, 2 * row.macs)


@pytest.mark.parametrize("one", EXPLAINED)
def test_totals_are_the_metrics(one):
    for workload in one.workloads.values():
        metrics, decode, prefill = workload.metrics, workload.decode, workload.prefill
        assert close(sum(workload.memory_gib.values()), metrics["memory_gib"])
        if not workload.fits:
            assert math.isnan(metrics["tpot_ms"])
            continue
        assert close(decode.ms, metrics["tpot_ms"])
        assert close(prefill.ms, metrics["ttft_ms"])
        assert close(decode.bound_ms, metrics["roofline_tpot_ms"])
        assert close(decode.overhead_fraction, metrics["overhead_fraction"])
        assert close(decode.board_w, metrics["decode_w"])
        assert close(prefill.board_w, metrics["prefill_w"])
        assert close(decode.board_j, metrics["decode_j_per_token"] * workload.settings["batch"])
    for blocks, metric in (("area_mm2", "die_mm2"), ("tdp_w", "tdp_w"), ("cost_usd", "cost_usd")):
        if one.blocks.get(blocks):
            assert close(sum(one.blocks[blocks].values()), one.metrics[metric])


def test_decode_gemm_does_as_many_operations_per_byte_as_sequences_meet_a_16_bit_weight():
    rows = {row.name: row for row in explain_baseline(EVALUATOR, "gpu_pair").workloads["chat"].decode.operators}
    assert rows["ffn_up"].ops_per_byte == pytest.approx(32)
    assert rows["ffn_up"].bound == "memory"
    # Two matrices of 8192 x 28672 in 80 layers, half on each of two chips, 2 bytes each.
    assert rows["ffn_up"].bytes_moved == 2 * 8192 * 28672 * 80 * 2 / 2


def test_prefill_of_a_long_prompt_waits_for_arithmetic():
    rows = {row.name: row for row in EXPLAINED[0].workloads["chat"].prefill.operators}
    assert rows["ffn_up"].bound == "arithmetic"


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 512), st.integers(1, 8192), st.integers(1, 4096), st.sampled_from(("tensor", "pipeline")))
def test_rows_add_up_whatever_is_served(batch, prompt, output, parallelism):
    words = f"llama2_70b batch={batch} prompt_tokens={prompt} output_tokens={output} parallelism={parallelism}"
    (table,) = explain_library_chip("4x h100_sxm", [words], ["weight_format=fp8", "kv_bits=8"]).workloads.values()
    for phase in (table.decode, table.prefill):
        assert close(sum(row.ms for row in phase.operators), phase.ms)
        assert close(sum(phase.energy_j.values()), phase.board_j)
        assert all(row.roofline_fraction <= 1 + 1e-9 for row in phase.operators[:-1])


@pytest.mark.parametrize("one", EXPLAINED)
def test_json_is_finite_and_complete(one):
    read = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert set(read) == {field.name for field in dataclasses.fields(one)} - {"described"}
    assert read["workloads"].keys() == one.workloads.keys()


def test_missing_numbers_become_null():
    read = explain_baseline(EVALUATOR, "gpu_pair").to_json()
    assert read["metrics"]["cost_usd"] is None
    assert read["workloads"]["chat"]["decode"]["operators"][-1]["ops_per_byte"] is None


def test_only_one_design_is_explained():
    with pytest.raises(ValueError, match="is not one row"):
        explain_designs(EVALUATOR, Table.from_settings({"macs": 1}, {"macs": 2}))


@pytest.mark.parametrize("one", EXPLAINED)
def test_tables_fit_100_columns_and_carry_units(one):
    out = io.StringIO()
    print_parts(Page(out, 100), explanation_parts(one))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for word in ("op/byte", "GiB", "ms", "\nJ", "margin %", "bound by"):
        assert word in text or word.strip() in text
    for workload in one.workloads:
        assert f"{workload}, decode step" in text


# -- design files ---------------------------------------------------------------------------------------------------

GOOD = """\
name: mine
workloads:
  chat: {model: llama2_70b, batch: 32, prompt_tokens: 1024, output_tokens: 1024}
design: {node: tsmc_5, memory: lpddr5x_9600, memory_devices: 12, memory_device_gib: 16, link_gbps: 100}
constraints:
  - {metric: chat.tpot_ms, max: 40 ms}
"""


def written(tmp_path, text):
    path = tmp_path / "design.yaml"
    path.write_text(text)
    return path


def test_a_design_file_is_the_design(tmp_path):
    one = explain_design_file(written(tmp_path, GOOD))
    assert one.name == "mine"
    assert one.workloads["chat"].decode == explain_designs(EVALUATOR, design()).workloads["chat"].decode
    assert "chat.tpot_ms <= 40" in one.margins


def test_workloads_may_come_from_the_command_line(tmp_path):
    text = "design: {memory: hbm3, memory_devices: 4, memory_device_gib: 24}\n"
    one = explain_design_file(written(tmp_path, text), ["llama3_8b batch=4", "llama3_8b batch=8"])
    assert {name: table.settings["batch"] for name, table in one.workloads.items()} == {
        "llama3_8b": 4,
        "llama3_8b_2": 8,
    }


def test_a_pick_is_a_design_file(tmp_path):
    text = GOOD + "reason: nearest to the best\nid: 7\nfeasible: true\nmetrics: {tdp_w: 1.0}\n"
    assert explain_design_file(written(tmp_path, text)).name == "mine"


def test_every_issue_of_a_design_file_at_once(tmp_path):
    text = """\
nmae: mine
workloads:
  chat: {model: llama2_71B, batch: 0}
design:
  node: tsmc_5
  macs: [1, 2]
  clok_ghz: 1
  sram_mib: 64 GHz
"""
    with pytest.raises(SpecError) as caught:
        load_design(written(tmp_path, text))
    issues = {issue.path: issue for issue in caught.value.issues}
    assert {"nmae", "workloads.chat.model", "workloads.chat.batch", "design.macs", "design.clok_ghz"} <= set(issues)
    assert "design.sram_mib" in issues
    assert issues["design.clok_ghz"].perhaps == "clock_ghz"
    assert (issues["design.macs"].place.line, issues["design.macs"].place.column) == (6, 9)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("design: {macs: 1024}\n", "workloads"),
        ("workloads: {chat: {model: llama3_8b}}\n", "design"),
        ("workloads: {chat: {model: llama3_8b}}\ndesign: 3\n", "design"),
    ],
)
def test_what_a_design_file_lacks_is_said_once(tmp_path, text, path):
    with pytest.raises(SpecError) as caught:
        load_design(written(tmp_path, text))
    assert [issue.path for issue in caught.value.issues] == [path]


def test_a_list_is_not_a_design_file(tmp_path):
    with pytest.raises(SpecError, match="a mapping with name, design, workloads"):
        load_design(written(tmp_path, "- 1\n"))


def test_every_issue_of_the_arguments_at_once():
    with pytest.raises(SpecError) as caught:
        explain_library_chip("2x a100_80gb_smx", ["llama2_70b batch"], ["weight_format=int44", "kvbits=3"])
    text = str(caught.value)
    assert "a100_80gb_sxm" in text
    assert "key=value" in text
    assert "kv_bits" in text
    assert len(caught.value.issues) == 4


def test_chips_need_a_workload():
    with pytest.raises(SpecError, match="--workload"):
        explain_library_chip("a100_80gb_sxm", [])


# -- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return run(SPEC, out=tmp_path_factory.mktemp("runs") / "tiny")


def test_a_row_of_a_run_is_explained_with_the_numbers_that_are_stored(stored):
    for design_id in stored.designs["id"]:
        row = stored.row(design_id)
        one = explain_run_row(stored, int(design_id))
        for name, metric in (("chat", "tpot_ms"), ("chat", "decode_w"), ("piped", "ttft_ms")):
            assert np.isclose(row[f"{name}.{metric}"], one.workloads[name].metrics[metric], rtol=1e-12, equal_nan=True)
        assert one.metrics["die_mm2"] == pytest.approx(row["die_mm2"], rel=1e-12)


def test_the_knee_stands_for_a_run(stored):
    knee = explain_run_row(stored)
    assert knee.to_json() == explain_run_row(stored, "knee").to_json()
    assert knee.name == "tiny, knee"
    assert explain_run_row(stored, "gpu_pair").workloads == explain_baseline(EVALUATOR, "gpu_pair").workloads


def test_an_unknown_design_of_a_run_is_an_issue_with_a_suggestion(stored):
    with pytest.raises(RunError, match="perhaps knee"):
        explain_run_row(stored, "kne")
    with pytest.raises(RunError, match="no design 999"):
        explain_run_row(stored, 999)


def test_a_design_among_others_is_explained_as_it_is_alone():
    designs = Table.from_settings(
        {"memory": "hbm3", "memory_devices": 4, "macs": 65536},
        {"memory": "lpddr5x_9600", "memory_devices": 8, "macs": 4096, "weight_method": "awq"},
        {"memory": "gddr6_16", "memory_devices": 2, "macs": 131072, "serving_stack": stacks()[0]},
    )
    columns = explained(EVALUATOR, designs)
    for row, one in enumerate(designs.to_settings()):
        alone = explain_designs(EVALUATOR, Table.from_settings(one))
        among = explanation_of(columns, row, name="design", described=EVALUATOR.spec.metrics)
        # What would hold a workload, and business terms, are told of the one that is asked about.
        assert among.workloads.keys() and among.to_json() == {**alone.to_json(), "holders": {}, "economics": None}


@pytest.mark.parametrize("split, words", [("tp4_pp2", "tensor 4 x pipeline 2"), ("tensor", "tensor parallel")])
def test_two_splits_at_once_are_both_named(split, words):
    found = explain_library_chip("8x h100_sxm", [f"llama3_70b parallelism={split}"], ["weight_format=fp8"])
    assert f"8 chip(s), {words}" in str(explanation_parts(found))


def test_a_sweep_in_place_of_a_design_file_is_one_fault_that_says_what_to_do():
    with pytest.raises(SpecError) as caught:
        load_design("sweeps/quickstart.yaml")
    assert [str(issue).partition("  ")[2] for issue in caught.value.issues] == [
        "space: is a sweep's: run it, and explain its run"
    ]


def test_what_the_network_between_servers_takes_has_its_own_name():
    model = ["llama3_70b batch=16 prompt_tokens=4096 parallelism=tp16"]
    far, near = (
        next(iter(explain_library_chip("16x a100_80gb_sxm", model, words).workloads.values()))
        for words in (["network_gbps=12.5"], ["node_chips=16"])
    )
    assert "network" not in near.prefill.spent_ms and far.settings["node_chips"] == 8
    bounds = {row.name: row.bound for row in far.prefill.operators}
    assert bounds["attention_out"] == "network" and bounds["ffn_up"] == "arithmetic"
    for name in ("decode", "prefill"):
        one, other = getattr(far, name), getattr(near, name)
        assert sum(one.spent_ms.values()) == pytest.approx(one.ms)
        assert one.spent_ms["network"] == pytest.approx(one.ms - other.ms)

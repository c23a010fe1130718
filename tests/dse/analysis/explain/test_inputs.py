"""What people type: settings, workloads and designs as words, read and refused."""

from types import SimpleNamespace

import pytest

from dse.analysis.explain import inputs
from dse.analysis.explain.inputs import (
    _identifier,
    chips_spec,
    design_of_run,
    explain_library_chip,
    explain_run_row,
    load_design,
    read_settings,
    workload_nodes,
)
from dse.errors import Place, RunError, SpecError

HERE = Place("here")


def settings(text, first=""):
    nodes, issues = read_settings(text.split(), HERE, first=first)
    return {name: node.plain() for name, node in nodes.items()}, [issue.what for issue in issues]


@pytest.mark.parametrize(
    ("text", "first", "values", "faults"),
    [
        ("batch=32 kv_bits=8", "", {"batch": 32, "kv_bits": 8}, []),
        ("llama2_70b batch=32", "model", {"model": "llama2_70b", "batch": 32}, []),
        ("batch=32 llama2_70b", "model", {"batch": 32}, ["'llama2_70b'"]),
        ("llama2_70b", "", {}, ["'llama2_70b'"]),
        ("=3 batch= = batch=4", "", {"batch": 4}, ["'=3'", "'batch='", "'='"]),
        ("batch=4 batch=5", "", {"batch": 4}, ["batch is given twice"]),
        ("sessions.turns=4 sessions.think_s=2", "", {"sessions": {"turns": 4, "think_s": 2}}, []),
        ("sessions.turns=4 sessions.turns=5", "", {"sessions": {"turns": 4}}, ["sessions.turns is given twice"]),
        ("sessions=4 sessions.turns=5", "", {"sessions": 4}, ["sessions.turns is given twice"]),
        ("a=b=c", "", {"a": "b=c"}, []),
        ("", "model", {}, []),
    ],
)
def test_settings_are_keys_and_values(text, first, values, faults):
    found = settings(text, first)
    assert (found[0], [one.replace('"', "'") for one in found[1]]) == (values, faults)


def test_empty_words_are_no_words():
    nodes, issues = read_settings(["", "llama2_70b", "", "batch=2"], HERE, first="model")
    assert list(nodes) == ["model", "batch"] and not issues and nodes["batch"].place == HERE


@pytest.mark.parametrize(
    ("model", "name"),
    [("llama2_70b", "llama2_70b"), ("meta-llama/Llama-2-70b", "Llama-2-70b"), ("7b", "b"), ("a b.c", "a_b_c"),
     ("123", "workload"), ("__x", "x"), ("", "workload"), ("models/tiny.gguf", "tiny"),
     ("models/tiny/config.json", "tiny")],
)  # fmt: skip
def test_a_workload_is_named_after_its_model(model, name):
    assert _identifier(model) == name


def test_workloads_of_one_model_are_counted():
    texts = ["llama3_8b batch=1", "llama3_8b batch=2", "llama3_8b, batch=3", "name=mine model=llama3_8b", "batch=4"]
    nodes, issues = workload_nodes(texts)
    assert list(nodes) == ["llama3_8b", "llama3_8b_2", "llama3_8b_3", "mine", "workload"] and not issues
    assert [node.plain().get("batch") for node in nodes.values()] == [1, 2, 3, None, 4]
    assert nodes["mine"].plain() == {"model": "llama3_8b"}
    _, issues = workload_nodes(["llama3_8b x", "llama3_8b y="])
    assert [issue.place.file.replace('"', "'") for issue in issues] == [
        "--workload 'llama3_8b x'", "--workload 'llama3_8b y='",
    ]  # fmt: skip
    assert workload_nodes(["x y"], "")[1][0].place.file.replace('"', "'") == "'x y'"
    assert workload_nodes([]) == ({}, [])


def test_chips_are_a_baseline_and_need_a_workload():
    spec = chips_spec("2x l4", ["llama3_8b batch=4"], ["kv_bits=8"])
    assert (spec.baselines["chips"].chips, spec.baselines["chips"].kv_bits) == ("2x l4", 8)
    assert list(spec.workloads) == ["llama3_8b"] and spec.name == "chips"
    with pytest.raises(SpecError) as fault:
        chips_spec("2x l5", [], ["colour=1", "kv_bits"])
    assert {issue.path for issue in fault.value.issues} == {"--workload", "chips", "colour", ""}
    assert explain_library_chip("1x l4", ["llama3_8b"]).name == "1x l4"


# -- design files -----------------------------------------------------------------------------------------------------

DESIGN = """\
name: mine
id: 7
workloads: {chat: {model: llama3_8b}}
design: {memory: hbm3, memory_devices: 2, memory_device_gib: 16}
"""


def load(tmp_path, text, *workloads):
    (tmp_path / "it.yaml").write_text(text)
    return load_design(tmp_path / "it.yaml", workloads)


def faults(tmp_path, text, *workloads):
    with pytest.raises(SpecError) as fault:
        load(tmp_path, text, *workloads)
    return [(issue.path, issue.place.line) for issue in fault.value.issues]


def test_a_design_file_is_a_sweep_of_one_value_each(tmp_path):
    spec, design = load(tmp_path, DESIGN, "llama3_70b batch=2")
    assert spec.name == "mine" and list(spec.workloads) == ["chat", "llama3_70b"]
    assert (design["memory"], design["memory_devices"], design["memory_device_gib"]) == ("hbm3", 2, 16)
    unnamed, _ = load(tmp_path, DESIGN.replace("name: mine\n", ""))
    assert unnamed.name == "design"
    # Workloads may come from the command line alone.
    assert list(
        load(tmp_path, DESIGN.replace("workloads: {chat: {model: llama3_8b}}\n", ""), "llama3_8b")[0].workloads
    ) == ["llama3_8b"]


def test_faults_of_a_design_file_stand_at_their_keys_each_once(tmp_path):
    assert faults(tmp_path, DESIGN + "colour: red\n") == [("colour", 5)]
    assert faults(tmp_path, DESIGN.replace("devices: 2", "devices: [2, 4]")) == [("design.memory_devices", 4)]
    assert faults(tmp_path, DESIGN.replace("devices: 2", "devices: {values: [2]}")) == [("design.memory_devices", 4)]
    assert faults(tmp_path, DESIGN.replace("hbm3", "hbm9")) == [("design.memory", 4)]
    assert ("design", 1) in faults(tmp_path, "name: mine\nworkloads: {chat: {model: llama3_8b}}\n")
    assert ("workloads", 1) in faults(tmp_path, "name: mine\ndesign: {memory: hbm3}\n")
    assert faults(tmp_path, DESIGN.replace("design:", "space:")) == [("space", 4)]
    assert faults(tmp_path, "[1]\n") == [("", 1)]
    # A design beside a space is a design file with one key too many.
    assert ("space", 5) in faults(tmp_path, DESIGN + "space: {}\n")
    assert ("design", 4) in [
        (path, line) for path, line in faults(tmp_path, DESIGN[: DESIGN.index("design:")] + "design: 3\n")
    ]


# -- runs -------------------------------------------------------------------------------------------------------------


def run(*names):
    picks = [{"name": name, "design": {"macs": float(place)}} for place, name in enumerate(names)]
    return SimpleNamespace(
        path="runs/it", name="it", picks=picks, spec=SimpleNamespace(baselines={"pair": None}),
        settings=lambda number: {"id": number},
    )  # fmt: skip


def test_a_design_of_a_run_is_a_pick_or_an_id():
    made = run("best", "knee")
    assert design_of_run(made) == ({"macs": 1.0}, "it, knee") and design_of_run(run("best")) == (
        {"macs": 0.0},
        "it, best",
    )
    assert design_of_run(made, "best") == ({"macs": 0.0}, "it, best")
    assert design_of_run(made, 7) == design_of_run(made, "7") == ({"id": 7}, "it, design 7")
    assert design_of_run(made, 0) == ({"id": 0}, "it, design 0")
    with pytest.raises(RunError, match=r"'bets' is not a design's id or one of best, knee, pair; perhaps best"):
        design_of_run(made, "bets", others=["pair"])
    with pytest.raises(RunError, match=r"is not a design's id or one of "):
        design_of_run(run())


def test_a_row_of_a_run_is_explained_as_what_it_is(monkeypatch):
    monkeypatch.setattr(inputs, "Evaluator", lambda spec: "evaluator")
    monkeypatch.setattr(inputs, "explain_designs", lambda evaluator, table, name: (name, table))
    monkeypatch.setattr(inputs, "explain_baseline", lambda evaluator, name: name)
    made = run("best", "knee")
    name, table = explain_run_row(made)
    assert name == "it, knee" and table["macs"].tolist() == [1]
    assert explain_run_row(made, "best")[0] == "it, best" and explain_run_row(made, "pair") == "pair"
    assert explain_run_row(made, 12)[0] == "it, design 12"
    with pytest.raises(RunError, match="perhaps pair"):
        explain_run_row(made, "pairs")
    with pytest.raises(RunError, match="has no picks; name a design by its id"):
        explain_run_row(run())

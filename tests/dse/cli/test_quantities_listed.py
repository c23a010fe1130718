"""Parameters, metrics and least infeasible designs from the command line: all of them, each with what it means."""

import json

import pytest

from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.errors import SpecError
from dse.runs import run
from dse.sweep import parse_spec
from tests.sweeps import tiny


def listed(call, section):
    return json.loads(call("library", "list", section, "--format", "json")[1])


def test_every_metric_and_every_parameter_is_listed(call):
    assert [row["metric"].removeprefix("WORKLOAD.") for row in listed(call, "metrics")] == list(METRICS)
    names = [row["parameter"].removeprefix("WORKLOAD.") for row in listed(call, "sweep_parameters")]
    assert names == [*PARAMETERS, *WORKLOAD_FIELDS]
    assert all(row["meaning"] for section in ("metrics", "sweep_parameters") for row in listed(call, section))


@pytest.mark.parametrize("name", ["ttft_ms", "chat.ttft_ms", "macs", "cost_usd", "batch"])
def test_one_of_them_is_shown_with_its_meaning(call, name):
    status, out, err = call("library", "show", name, "--format", "json")
    bare = name.rpartition(".")[2]
    entry = METRICS.get(bare) or PARAMETERS.get(bare) or WORKLOAD_FIELDS[bare]
    assert status == 0 and json.loads(out)[0]["meaning"] == entry.meaning, err


def test_a_choice_is_shown_with_every_name_it_takes(call):
    (row,) = json.loads(call("library", "show", "sweep_parameters", "cooling", "--format", "json")[1])
    assert row["values"] == "air, liquid"
    (row,) = json.loads(call("library", "show", "node", "--format", "json")[1])
    assert "tsmc_5" in row["values"]


@pytest.mark.parametrize(
    "word, meant",
    [
        ("latency", "tpot_ms"),
        ("throughput", "tokens_per_s"),
        ("carbon", "embodied_kg"),
        ("power", "tdp_w"),
        ("h100", "h100_"),
    ],
)
def test_words_that_people_use_lead_somewhere(call, word, meant):
    status, _, err = call("library", "show", word)
    assert status == 2 and f"perhaps {meant}" in err


def test_a_sweep_answers_the_same_words():
    metric = tiny(objectives=[{"metric": "chat.latency", "direction": "minimize"}])
    with pytest.raises(SpecError, match=r"perhaps chat\.tpot_ms"):
        parse_spec(metric)
    model = tiny(workloads={"chat": {"model": "meta-llama/Llama-2-70b-chat-hf"}})
    assert parse_spec(model).workloads["chat"].model == "llama2_70b"


def test_what_a_sweep_varies_may_be_asked_for(tmp_path):
    space = {**tiny()["space"], "chat.batch": {"values": [1, 4, 16, 64]}}
    requested = [
        {"metric": "chat.batch", "direction": "maximize"},
        {"metric": "memory_devices", "direction": "minimize"},
    ]
    done = run(parse_spec(tiny(space=space, objectives=requested)), out=tmp_path / "run")
    feasible = done.designs[done.designs["feasible"].astype(bool)]
    best = {(batch, feasible.loc[feasible["chat.batch"] >= batch, "memory_devices"].min()) for batch in (1, 4, 16, 64)}
    front = {tuple(pair) for pair in done.front[["chat.batch", "memory_devices"]].to_numpy()}
    assert front and front == {pair for pair in best if not any(a > pair[0] and b <= pair[1] for a, b in best)}
    with pytest.raises(SpecError, match=r"chat\.batch"):
        parse_spec(tiny(objectives=requested))


def test_a_design_file_is_told_from_a_broken_sweep(call, tmp_path):
    file = tmp_path / "chip.yaml"
    file.write_text("name: chip\ndesign: {macs: 65536}\nworkloads: {chat: {model: llama3_8b}}\n")
    for command in ("run", "check"):
        status, _, err = call(command, file)
        assert status == 2 and err.splitlines() == [
            f"{file}:2:1  design: makes this a design file, one value per parameter: "
            "dse explain, dse compare and dse require read it"
        ]
    assert call("explain", file).status == 0

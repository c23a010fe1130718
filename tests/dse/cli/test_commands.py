"""Every command of the command line by the same rules: help, quiet, output for programs, no colours into a pipe."""

import csv
import json
from pathlib import Path

import pytest
import typer.main
import yaml

import dse.cli
from dse.runs import run
from dse.sweep import parse_spec
from tests.sweeps import SHORT_CHAT, minimized

pytestmark = pytest.mark.bounded

SWEEP = {
    "name": "tiny",
    "workloads": SHORT_CHAT,
    "space": {"memory": "gddr6_16", "memory_devices": {"low": 8, "high": 16, "step": 4}, "memory_device_gib": 2},
    "objectives": minimized("chat.tpot_ms", "cost_usd"),
    "baselines": {"a100": {"chips": "1x a100_80gb_sxm"}},
    "search": {"sampler": "sobol", "n_designs": 16},
}

COMMANDS = {
    "audit": "audit claims.yaml",
    "calibrate": "calibrate rows.csv --stack accelerator_serving",
    "check": "check tiny.yaml",
    "choose": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --max tpot_ms=50",
    "compare": "compare here",
    "compress": "compress --shape 32x32",
    "diff": "diff here there",
    "explain": "explain here",
    "explore": "explore here",
    "export": "export here --storage sqlite:///{out}.db",
    "library parameter": "library parameter tco.pue",
    "library list": "library list nodes",
    "library show": "library show hbm3",
    "library where": "library where nodes.tsmc_28.mask_set_usd",
    "merge": "merge here there --draw none --no-report --out {out}",
    "new": "new {name}",
    "plot": "plot here --kind pareto",
    "report": "report here --out {out}.html",
    "require": "require tiny.yaml",
    "resume": "resume here --n-designs 32 --out {out} --draw none --no-report",
    "robust": "robust here --draws 8 --draw none",
    "run": "run tiny.yaml --draw none --no-report --out {out}",
    "show": "show here",
    "validate": "validate --measurements rows.csv",
}
"""Each command with arguments that it does its work with."""

WRITERS = ("export", "new", "plot", "report")
"""Commands that write files and print where they are."""

MAKERS = ("merge", "resume", "run")
"""Commands that make a run directory."""

SERVERS = ("explore",)
"""Commands that go on until they are interrupted; `test_explore.py` calls them."""

ROWS = "source_id,chip,model,weight_bits,batch,input_len,output_len,metric,value,software\n" + "".join(
    f"own,rtx_4090,llama3_8b,{bits},{batch},256,64,tpot_ms,{ms},llama.cpp\n"
    for bits, batch, ms in ((4.5, 1, 7.0), (4.5, 4, 8.0), (8.5, 1, 12.0), (8.5, 4, 13.0))
)

CLAIMS = {
    "name": "rumours",
    "workloads": {"chat": {"model": "llama3_8b", "batch": 1, "prompt_tokens": 128, "output_tokens": 128}},
    "subjects": {"pair": {"chips": "2x a100_80gb_sxm"}},
    "claims": [
        {"key": "speed", "of": "pair", "workload": "chat", "metric": "tpot_ms", "at": "most", "value": "20 ms",
         "source": "a rumour", "grade": "low"},
    ],
}  # fmt: skip


def names(group=None, before=""):
    group = group or typer.main.get_command(dse.cli.app)
    for name, command in group.commands.items():
        full = f"{before} {name}".strip()
        yield from names(command, full) if hasattr(command, "commands") else [full]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("commands")
    for name, seed in (("here", 0), ("there", 1)):
        run(parse_spec(SWEEP, overrides=[f"search.seed={seed}"]), out=where / name)
    (where / "tiny.yaml").write_text(yaml.safe_dump(SWEEP))
    (where / "rows.csv").write_text(ROWS)
    (where / "claims.yaml").write_text(yaml.safe_dump(CLAIMS))
    return where


@pytest.fixture
def call(call, folder, monkeypatch, request):
    """The command line in a folder of runs; what it writes is named after the test."""
    monkeypatch.chdir(folder)
    stem = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
    return lambda words, *more: call(*words.format(out=f"out_{stem}", name=f"sweep_{stem}").split(), *more)


def commands(group):
    """Yield every command below a group."""
    for command in group.commands.values():
        yield from commands(command) if hasattr(command, "commands") else (command,)


def test_no_switch_is_on_unless_it_is_asked_for():
    switches = [
        (command.name, one.name, one.default)
        for command in commands(typer.main.get_command(dse.cli.app))
        for one in command.params
        if getattr(one, "is_flag", False)
    ]
    assert len(switches) > 40
    assert [found for found in switches if found[2] not in (False, None)] == []


def test_every_command_is_here():
    assert sorted(names()) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_the_modes(call, command):
    status, out, err = call(command, "--help")
    assert (status, err) == (0, "")
    assert f"Example: dse {command}" in out and "--quiet" in out
    assert "--format" in out or command in (*WRITERS, *SERVERS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in SERVERS])
def test_piped_output_is_plain_and_quiet_is_silent(call, command):
    status, out, err = call(COMMANDS[command])
    assert status == 0, err
    assert out and "\x1b" not in out + err
    if command in ("new", "plot", "report"):
        assert all(Path(line.split()[0]).exists() for line in out.splitlines())
    if command not in (*WRITERS, *MAKERS):
        assert call(COMMANDS[command], "--quiet") == (0, "", "")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in (*WRITERS, *SERVERS)])
def test_output_for_programs_is_json(call, command):
    status, out, err = call(COMMANDS[command], "--format", "json")
    assert status == 0, err
    json.loads(out)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in (*WRITERS, *SERVERS)])
def test_output_for_spreadsheets_has_as_many_cells_in_every_line(call, command):
    status, out, err = call(COMMANDS[command], "--format", "csv")
    assert status == 0, err
    rows = list(csv.reader(out.splitlines()))
    assert len(rows) > 1 and len({len(row) for row in rows}) == 1


@pytest.mark.parametrize("command", ["export", "new", "report", *MAKERS])
def test_writing_quietly_is_silent(call, command):
    assert call(COMMANDS[command], "--quiet") == (0, "", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_option_is_status_2_and_names_itself(call, command):
    status, out, err = call(COMMANDS[command], "--quite")
    assert (status, out) == (2, "") and "--quite" in err


def test_what_is_asked_is_answered_with_what_was_meant(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = call("explain", "h100", "--workload", "llama3_8b")
    assert status == 2 and err == "'h100': is neither a run nor chips; perhaps h100_sxm\n"
    assert "(dse run SPEC makes one)" in call("show")[2]
    status, _, err = call("check", "quickstart", "--set", "search.n_designs=1439")
    assert status == 2 and "1439 is not enough for the 1440 designs of the grid" in err
    assert call("check", "quickstart", "--set", "search.n_designs=1440")[0] == 0

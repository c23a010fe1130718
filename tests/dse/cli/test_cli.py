import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

import dse.cli
from cost_models.library import shipped_library
from dse.analysis.relaxation.constraints import explain_infeasible
from dse.evaluator import Evaluator
from dse.render.terminal.stack import constants
from tests import cli
from tests.sweeps import SHORT_CHAT, minimized

ROOT = Path(__file__).parents[3]
HEAVY = ("numpy", "pandas", "scipy", "pydantic", "optuna", "pymoo", "matplotlib", "moocore", "pyarrow", "yaml", "pint")
SWEEP = {
    "name": "tiny",
    "workloads": SHORT_CHAT,
    "space": {
        "memory": {"values": ["gddr6_16", "hbm3"]},
        "memory_devices": {"low": 2, "high": 16, "step": 2},
        "memory_device_gib": [
            {"values": [2], "when": {"memory": ["gddr6_16"]}},
            {"values": [16], "when": {"memory": ["hbm3"]}},
        ],
        "macs": {"values": [16384, 65536]},
    },
    "objectives": minimized("chat.tpot_ms", "cost_usd"),
    "constraints": [{"metric": "chat.tpot_ms", "max": 20}],
    "baselines": {"a100": {"chips": "1x a100_80gb_sxm"}, "tpu": {"chips": "2x tpu_v4"}},
    "search": {"sampler": "grid"},
}


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text("# as the user wrote it\r\n" + yaml.safe_dump(SWEEP))
    return "tiny.yaml"


@pytest.mark.parametrize("arguments", [[], ["run"], ["library", "parameter"]])
def test_help_imports_nothing_heavy(arguments):
    # Typer itself takes pydantic for the options of a command.
    heavy = HEAVY if not arguments else [name for name in HEAVY if name != "pydantic"]
    program = (
        "import sys; from dse.cli import main\n"
        f"sys.argv = ['dse', *{arguments!r}, '--help']\n"
        "try:\n    main()\n"
        f"except SystemExit:\n    print('HEAVY', [name for name in {heavy!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "Example" in done.stdout
    assert done.stdout.rstrip().endswith("HEAVY []")


def test_help_lists_every_command_under_a_heading_and_cuts_no_summary(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = call("--help").out.splitlines()
    assert max(map(len, lines)) <= 80 and "..." not in " ".join(lines[:-1]).replace("[ARGS]...", "")
    for group, summaries in dse.cli.GROUPS.items():
        assert f"{group}:" in lines
        for name, summary in summaries.items():
            assert any(line.split() == [name, *summary.removesuffix(".").split()] for line in lines), name
    for line in call("library", "--help").out.splitlines():
        assert not line.endswith("...") or "COMMAND" in line


def test_the_summary_of_a_command_is_the_first_sentence_of_its_help():
    commands = typer.main.get_command(dse.cli.app).commands
    for summaries in dse.cli.GROUPS.values():
        for name, summary in summaries.items():
            assert commands[name].help.splitlines()[0] == summary


def test_an_option_takes_the_same_wherever_it_stands(call):
    kinds = {}
    for name in (name for group in dse.cli.GROUPS.values() for name in group):
        for option, takes in re.findall(
            r"^  (?:-\w, )?(--[a-z-]+) (\S*)", call(name, "--help").out.partition("Options:")[2], re.MULTILINE
        ):
            place = "PATH" if takes in ("DIR", "FILE", "SCORED.csv") and option == "--out" else takes
            kinds.setdefault(option, {}).setdefault(place, []).append(name)
    assert {option: result for option, result in kinds.items() if len(result) > 1} == {}
    assert {"--format", "--plots", "--workload", "--n-designs", "--image-format"} <= set(kinds)


@pytest.mark.parametrize("program", [["-m", "dse"], ["-c", "from dse.cli import main; main()"]])
def test_a_reader_that_stops_reading_is_no_issue(program):
    command = [sys.executable, *program, "library", "list", "parameters"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as running:
        first = running.stdout.readline()
        running.stdout.close()
        assert running.wait(60) == 0 and running.stderr.read() == b"" and first.strip() == b"Parameters"


def test_a_run_whose_reader_stops_ends_with_its_own_status_and_all_its_files(sweep):
    arguments = ["run", sweep, "--draw", "none", "--out", "here", "--set", "constraints[0].max=0.001"]
    with subprocess.Popen(
        [sys.executable, "-m", "dse", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:
        running.stdout.close()
        assert running.wait(120) == 3 and running.stderr.read() == b""
    assert Path("here/relaxations.csv").is_file() and Path("here/report.html").is_file()


def test_the_version_is_told(call):
    assert call("--version") == (0, f"dse {importlib.metadata.version('llm-chip-dse')}\n", "")


def test_a_check_waits_for_nothing_that_it_does_not_use():
    heavy = ("pandas", "scipy", "optuna", "pymoo", "matplotlib", "moocore", "pyarrow", "pint", "joblib", "plotly")
    own = ("dse.results.store", "dse.results.manifest", "dse.user_model.model", "dse.analysis.explain")
    # Percentiles of waits, which a sweep of users has, do use scipy.
    program = (
        "import sys; from dse.cli import main\n"
        "sys.argv = ['dse', 'check', 'sweeps/quickstart.yaml', '--quiet']\n"
        f"try:\n    main()\nexcept SystemExit:\n    print([name for name in {heavy + own!r} if name in sys.modules])\n"
        "from cost_models.library import shipped_library\n"
        "print('evidence' in vars(shipped_library()), len(shipped_library().evidence) > 600)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False True"]


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "check",
        "show",
        "plot",
        "compare",
        "explain",
        "library",
        "library list",
        "library show",
        "library parameter",
    ],
)
def test_every_verb_shows_an_example(call, verb):
    status, out, _ = call(*verb.split(), "--help")
    assert status == 0 and f"Example: dse {verb}" in out


def test_a_run_ends_with_what_was_found(call, sweep):
    status, out, err = call("run", sweep, "--draw", "none", "--out", "here", "--full")
    assert (status, err) == (0, "")
    for words in (
        "What was asked",
        "Picks",
        "Binding constraints",
        "Feasible values per parameter",
        "(in brackets: over that of a100)",
    ):
        assert words in out
    assert "of the step above its" in out and "here/" in out
    assert "\x1b" not in out, "no colours where the output is not a terminal"
    assert max(map(len, out.splitlines())) <= 120
    assert Path("here/sweep.yaml").read_bytes() == Path(sweep).read_bytes()
    assert {path.name for path in Path("here").iterdir()} == {
        "sweep.yaml", "resolved.yaml", "manifest.json", "designs", "pareto.csv", "picks.yaml", "constraints.csv",
        "top.csv", "margins.csv", "axes.csv", "baselines.csv", "progress.jsonl", "plots", "report.html", "search.state",
    }  # fmt: skip


def test_a_quiet_run_says_nothing_and_stands_under_results(call, sweep):
    assert call("run", sweep, "--draw", "none", "--quiet") == (0, "", "")
    (run,) = Path("results/tiny").iterdir()
    assert (run / "manifest.json").is_file()
    status, out, _ = call("show", "latest")
    assert status == 0 and str(run) in out


def test_output_for_programs_parses(call, sweep):
    status, out, _ = call("run", sweep, "--draw", "none", "--out", "here", "--format", "json")
    result = json.loads(out)
    assert status == 0 and result["manifest"]["counts"]["front"] == len(result["front"])
    assert result["directory"] == "here", "not the place in which it lay when this was printed"
    assert result["comparisons"][0]["reference"] == "a100"
    assert json.loads(call("show", "here", "--format", "json")[1])["picks"] == result["picks"]
    sides = json.loads(call("compare", "here", "--baseline", "8x h200_sxm", "--format", "json")[1])[0]["entries"]
    assert [side["name"] for side in sides][-3:] == ["a100", "tpu", "h200_sxm_8"]
    assert sides[-2]["ratios"]["all_price_usd"] is None
    lines = call("show", "here", "--format", "csv", "--top", "2")[1].splitlines()
    assert len(lines) == 3 and lines[0].startswith("id,")
    assert len(call("compare", "here", "--format", "csv")[1].splitlines()) == len(sides)
    assert (
        json.loads(call("check", sweep, "--format", "json")[1])["grid_size"]
        == result["manifest"]["counts"]["evaluated"]
    )


def test_nothing_feasible_is_status_3_with_results_all_the_same(call, sweep, monkeypatch):
    told = []
    monkeypatch.setattr(
        "dse.analysis.relaxation.constraints.explain_infeasible",
        lambda *given: (told.append(sys.stdout.buffer.getvalue().decode()), explain_infeasible(*given))[1],
    )
    status, out, _ = call("run", sweep, "--draw", "none", "--out", "here", "--set", "constraints[0].max=0.001")
    assert status == 3
    assert (
        "NO: none of 32 designs of the space" in out
        and "Least infeasible designs" in out
        and "chat.tpot_ms <= 0.001 by" in out
    )
    verdict, remedies = told[0], out.removeprefix(told[0])
    assert "NO: none of 32 designs" in verdict and "What would do" not in verdict, "told before remedies are looked for"
    assert "What would do" in remedies and Path("here/constraints.csv").is_file()
    assert call("show", "here")[0] == 3


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "tiny.yaml", "--set", "space.macss=1"], "macs"),
        (["run", "tiny.yaml", "--n-designs", "0"], "n_designs"),
        (["run", "tiny.yaml", "--n-designs", "3"], "n_designs"),
        (["run", "tiny.yaml", "--out", "tiny.yaml"], "exists already"),
        (["check", "tiny.yaml", "--set", "objectives[0].direction=down"], "minimize"),
        (["show", "nowhere"], "no such run"),
        (["compare", "nowhere"], "no such run"),
        (["plot", "nowhere"], "no such run"),
        (["explain", "nowhere"], "no such run"),
        (["explain", "1x a100_80gb_sxm", "knee"], "goes with a run"),
        (["library", "show", "a100_80gb"], "perhaps"),
        (["library", "list", "chip"], "chips"),
        (["library", "parameter", "tco.puee"], "tco.pue"),
    ],
)
def test_bad_input_is_status_2_and_nothing_is_written(call, sweep, arguments, says):
    before = set(Path().rglob("*"))
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert says in err and "Traceback" not in err
    assert set(Path().rglob("*")) == before


def test_every_issue_of_a_sweep_is_a_line_with_its_place(call, sweep):
    text = yaml.safe_dump({**SWEEP, "objectives": [{"metric": "cost", "direction": "down"}], "extra": 1})
    Path(sweep).write_text(text)
    status, _, err = call("run", sweep)
    assert status == 2 and len(err.splitlines()) == 3
    assert all(line.startswith("tiny.yaml:") for line in err.splitlines())


def test_check_writes_nothing_and_shows_the_space(call, sweep):
    before = set(Path().rglob("*"))
    status, out, _ = call("check", sweep)
    assert status == 0 and set(Path().rglob("*")) == before
    for words in ("grid of 32 designs", "memory: gddr6_16", "16 384, 65 536", "2x tpu_v4", "default design"):
        assert words in out


def test_the_library_says_where_a_parameter_is_from(call):
    status, out, _ = call("library", "parameter", "tco.pue")
    assert status == 0
    for words in ("tco.pue", "1.35", "1.1", "1.58", "low", "uptime"):
        assert words in out
    parameter = json.loads(call("library", "parameter", "tco.pue", "--format", "json")[1])["tco.pue"]
    assert (parameter["typ"], parameter["low"], parameter["high"]) == (1.35, 1.1, 1.58)
    assert "A100" in call("library", "list", "chips")[1]
    assert "bandwidth_gbps" in call("library", "show", "a100_80gb_sxm")[1]
    assert f"chips,{len(shipped_library().chips)}" in call("library", "list", "--format", "csv")[1].replace("\r", "")


def test_the_library_shows_what_its_numbers_rest_on(call):
    library = shipped_library()
    listed = json.loads(call("library", "list", "parameters", "--weakest-first", "--format", "json")[1])
    assert {row["parameter"] for row in listed} == set(library.parameters)
    order = [("unsourced", "derived", "cited").index(row["support"]) for row in listed]
    assert order == sorted(order) and set(order) == {0, 1, 2}
    alone = [row["parameter"] for row in listed if row["support"] == "unsourced"]
    assert alone and all(library.parameters[path].sources == ("unsourced",) for path in alone)
    sections = {row["section"]: row for row in json.loads(call("library", "list", "--format", "json")[1])}
    assert sections["parameters"]["unsourced"] == len(alone)
    assert sections["parameters"]["low confidence"] == sum(
        one.confidence == "low" for one in library.parameters.values()
    )
    assert call("library", "list", "chips", "--weakest-first")[0] == 2


def test_the_library_shows_what_a_stack_was_fitted_on(call):
    status, out, _ = call("library", "show", "stack", "tensorrt_llm")
    assert status == 0
    for words in (
        "Fitted constants",
        "start",
        "rows",
        "left out",
        "kernel_s",
        "trtllm_static",
        "gpu_serving",
        "power of",
    ):
        assert words in out
    reported = json.loads(call("library", "show", "tensorrt_llm", "--format", "json")[1])
    fitted = {entry["name"]: entry for entry in reported["constants"] if entry["rows"]}
    kernel = fitted["kernel_s"]
    assert kernel["low"] <= kernel["least"] <= kernel["value"] <= kernel["most"] <= kernel["high"]
    assert kernel["stack"] == "tensorrt_llm" and fitted["active_fraction"]["stack"] == "gpu_serving"
    assert "bandwidth_gbps" in call("library", "show", "chip", "a100_80gb_sxm")[1]


@pytest.mark.parametrize("stack", shipped_library().stacks)
def test_every_note_of_a_fit_is_read(stack):
    for entry in constants(stack, shipped_library()):
        assert (entry.rows is None) == (
            not shipped_library().stack(stack).parameters[entry.name].note.startswith("fitted")
        )
        assert entry.rows is None or entry.start is not None


@pytest.mark.parametrize(
    ("words", "told"), [(("stack", "tensorrt"), "perhaps tensorrt_llm"), (("stak", "vllm"), "perhaps stacks")]
)
def test_what_the_library_does_not_have_is_told(call, words, told):
    status, _, err = call("library", "show", *words)
    assert status == 2 and told in err


def test_a_design_of_a_run_is_explained(call, sweep):
    call("run", sweep, "--draw", "none", "--out", "here", "--quiet")
    status, out, _ = call("explain", "here", "knee")
    assert status == 0 and "Area of the die" in out
    rows = call("explain", "here", "a100", "--format", "csv")[1].splitlines()
    assert rows[0].startswith("workload,pass,operator") and any(",lm_head," in row for row in rows)


def test_a_defect_is_short_and_says_how_to_see_more(call, sweep, monkeypatch, capsys):
    def fail(self, designs, *, metrics=None):
        raise ZeroDivisionError("a slip of ours")

    monkeypatch.setattr(Evaluator, "evaluate", fail)
    monkeypatch.setattr(sys, "argv", ["dse", "run", sweep, "--draw", "none"])
    with pytest.raises(ZeroDivisionError) as slip:
        dse.cli.main()
    dse.cli.report_defect(ZeroDivisionError, slip.value, slip.tb)
    err = capsys.readouterr().err
    assert "a slip of ours" in err and dse.cli.TRACEBACK in err and "Traceback (most" not in err
    assert not Path("results").exists() or not list(Path("results").rglob("manifest.json"))


def test_ctrl_c_ends_the_search_with_status_130_and_what_was_found(call, sweep, monkeypatch):
    evaluate = Evaluator.evaluate

    def pressed(self, designs, *, metrics=None):
        if metrics is not None:  # in the search, and not where its results are completed
            signal.raise_signal(signal.SIGINT)
        return evaluate(self, designs, metrics=metrics)

    monkeypatch.setattr(Evaluator, "evaluate", pressed)
    before = signal.getsignal(signal.SIGINT)
    large = ["--set", "search.sampler=random", "--n-designs", "50000"]
    status, out, err = call("run", sweep, "--draw", "none", "--no-report", "--out", "here", *large)
    assert (status, err) == (130, "") and "interrupted" in out
    manifest = json.loads(Path("here/manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert 0 < manifest["counts"]["evaluated"] < manifest["counts"]["planned"] == 50_000
    assert signal.getsignal(signal.SIGINT) is before


def test_two_runs_are_told_apart_and_runs_that_are_done_say_so(call, sweep):
    plain = ("--draw", "none", "--no-report", "-q")
    assert call("run", sweep, *plain, "--out", "a")[0] == 0
    assert call("run", sweep, *plain, "--out", "b", "--set", "constraints[0].max=10")[0] == 0
    status, out, _ = call("diff", "a", "b", "--format", "json")
    assert status == 0
    assert {"section": "sweep", "what": "constraints[0].max", "first": "20", "second": "10"} in json.loads(out)
    assert "the same sweep, library" in call("diff", "a", "a")[1]
    assert call("resume", "a") == (2, "", "a: is complete; to search on, say how far with --n-designs\n")
    for written, more in ((True, ()), (False, ("--no-report",))):
        further = ("--n-designs", 48, "--draw", "none", "-q", *more, "--out")
        assert call("resume", "a", *further, f"report {written}") == (0, "", "")
        assert Path(f"report {written}", "report.html").exists() == written
    assert call("merge", "a", "b")[0] == 2 and call("merge", "a")[0] == 2
    assert "only --backend dask" in call("run", sweep, "--scheduler", "tcp://x:1")[2]


def test_an_entry_is_called_by_the_singular_of_its_section():
    for section in ("memory", "memories"):
        done = cli.call("library", "show", section, "hbm33")
        assert done.status == 2 and "'hbm33' is not a memory of the library" in done.err

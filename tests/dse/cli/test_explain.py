"""What `dse explain` takes its words for, and what it makes of each."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.library import shipped_library
from dse.cli import explain as module
from dse.cli.explain import _Subject, _subject, explain
from dse.cli.options import Format
from dse.errors import SpecError


@pytest.mark.parametrize(
    ("what", "kind", "chips", "settings"),
    [
        ("2x h100_sxm weight_format=fp8,kv_bits=8", "chips", "2x h100_sxm", ["weight_format=fp8", "kv_bits=8"]),
        ("h100_sxm", "chips", "h100_sxm", []), ("2 X h100_sxm", "chips", "2 X h100_sxm", []),
        ("mine kv_bits=8", "chips", "mine", ["kv_bits=8"]), ("12×h100_sxm", "chips", "12×h100_sxm", []),
        ("a.yaml", "file", "a.yaml", []), ("b.yml", "file", "b.yml", []), ("2x a.yaml", "file", "2x a.yaml", []),
        ("here", "run", "here", []), ("latest", "run", "latest", []), ("a100_80gb_sxm", "run", "a100_80gb_sxm", []),
        ("x h100_sxm", "run", "x h100_sxm", []),
    ],
)  # fmt: skip
def test_words_are_chips_a_file_or_a_run(what, kind, chips, settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("here", "a100_80gb_sxm", "x h100_sxm"):
        Path(name).mkdir()  # what stands here is meant first
    assert _subject(what, None, [], []) == _Subject(chips, None, [], settings, [], kind)


def test_arguments_go_with_what_they_are_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "mach1").mkdir(parents=True)
    Path("here").mkdir()
    for what in ("1x h100_sxm", "a.yaml"):
        made = _subject(what, None, ["llama3_8b"], [])
        assert made.workloads == ["llama3_8b"] and made.design is None
    assert _subject("here", "knee", [], []) == _Subject("here", "knee", [], [], [], "run")
    assert _subject("mach1", None, [], []).kind == "run", "a folder of results"
    with pytest.raises(SpecError) as caught:
        _subject("h100", None, [], [])
    assert str(caught.value) == "'h100': is neither a run nor chips; perhaps h100_sxm"
    assert _subject("nothing_like_it", None, [], []).kind == "run", "which says that there is none"
    monkeypatch.setattr("dse.sweep.library_additions.library_with", lambda library: shipped_library())
    for what in ("1x h100_sxm", "a.yaml"):
        assert _subject(what, None, [], [tmp_path]).library == [tmp_path]
        with pytest.raises(SpecError, match=f"^DESIGN: 'knee' goes with a run; {what} is not one$"):
            _subject(what, "knee", [], [])
    with pytest.raises(SpecError) as caught:
        _subject("here", None, ["llama3_8b"], [tmp_path])
    assert str(caught.value).splitlines() == [
        "--workload: does not go with a run: here has workloads of its own",
        "--library: does not go with a run: here carries what its sweep added",
    ]


@pytest.fixture
def made(monkeypatch):
    """What was printed, drawn and asked for, with every calculation replaced by its name."""
    found = {}
    curves = [SimpleNamespace(name="a"), SimpleNamespace(name="b")]
    runs = {"chat": SimpleNamespace(metrics=["m1", "m2"]), "live": SimpleNamespace(metrics=["m3"])}
    monkeypatch.setattr(module, "_subject", lambda *given: found.update(given=given) or "subject")
    monkeypatch.setattr(module, "_simulated", lambda subject: runs)
    monkeypatch.setattr(module, "_curves", lambda subject: curves)
    monkeypatch.setattr(module, "_explained", lambda subject: SimpleNamespace(to_json=lambda: "explained"))
    monkeypatch.setattr(module, "_beside", lambda subject: ["beside"])
    monkeypatch.setattr("dse.render.terminal.simulation.simulation_table", lambda rows: rows)
    monkeypatch.setattr("dse.render.terminal.curve.curve_table", lambda curve: curve.name)
    monkeypatch.setattr("dse.render.terminal.curve.curve_rows", lambda curves: len(curves))
    monkeypatch.setattr("dse.render.terminal.explanation.explanation_parts", lambda explanation: ["parts"])
    monkeypatch.setattr("dse.render.terminal.explanation.operator_rows", lambda explanation: "rows")
    monkeypatch.setattr("dse.render.plots.timeline.draw_timelines", lambda *given: ["t.png"])
    monkeypatch.setattr("dse.render.plots.curve.draw_curves", lambda *given: ["c.png"])

    def emit(output, parts, data, rows=None):
        found.update(output=output, parts=list(parts()), data=data(), rows=rows and rows())

    monkeypatch.setattr(module, "emit", emit)
    return found


def test_what_is_asked_for_is_explained_simulated_or_drawn(made, capsys):
    explain("2x h100_sxm")
    assert made["given"] == ("2x h100_sxm", None, [], []) and made["output"] is Format.table
    assert (made["parts"], made["data"], made["rows"]) == (["parts", "beside"], "explained", "rows")
    explain("x", "knee", ["w"], curve=True, library=[Path("l")])
    assert made["given"] == ("x", "knee", ["w"], [Path("l")])
    assert (made["parts"], len(made["data"]), made["rows"]) == (["a", "b"], 2, 2)
    assert capsys.readouterr().err == ""
    explain("x", plots=Path("p"))
    assert made["parts"] == ["a", "b"] and capsys.readouterr().err == "c.png\n"
    explain("x", simulation=True)
    assert made["parts"] == [["m1", "m2", "m3"]] == [made["data"]] and made["rows"] is None
    assert capsys.readouterr().err == ""
    explain("x", simulation=True, plots=Path("p"), curve=True)
    assert made["data"] == ["m1", "m2", "m3"] and capsys.readouterr().err == "t.png\n"


def subject(kind, what="here", design="knee", settings=()):
    return _Subject(what, design, ["w"], list(settings), [Path("l")], kind)


def test_each_kind_is_explained_in_its_way(monkeypatch):
    inputs = "dse.analysis.explain.inputs."
    monkeypatch.setattr(inputs + "explain_design_file", lambda *given, library: ("file", *given, library))
    monkeypatch.setattr(inputs + "explain_library_chip", lambda *given, library: ("chips", *given, library))
    monkeypatch.setattr(inputs + "explain_run_row", lambda *given: ("run", *given))
    monkeypatch.setattr(module, "evaluated_run", lambda what, command: (what, command))
    assert module._explained(subject("file")) == ("file", "here", ["w"], [Path("l")])
    assert module._explained(subject("chips", settings=["a=1"])) == ("chips", "here", ["w"], ["a=1"], [Path("l")])
    assert module._explained(subject("run")) == ("run", ("here", "explain"), "knee")


@pytest.fixture
def spec(monkeypatch):
    """One sweep, whatever it is read from, and an evaluator that names what it is asked."""
    one = SimpleNamespace(
        name="mine", baselines={"chips": SimpleNamespace(chips="2x h100_sxm")},
        workloads={"chat": SimpleNamespace(trace=None), "live": SimpleNamespace(trace=SimpleNamespace(read=lambda: 7))},
    )  # fmt: skip

    class Evaluator:
        def __init__(self, spec):
            assert spec is one

        def serve_baseline(self, entry, name):
            return f"{entry.chips} {name}"

        def results(self, designs):
            return {"design": float(np.asarray(designs["macs"])[0])}

    inputs = "dse.analysis.explain.inputs."
    monkeypatch.setattr("dse.evaluator.Evaluator", Evaluator)
    monkeypatch.setattr(inputs + "chips_spec", lambda *given, library: one)
    monkeypatch.setattr(inputs + "load_design", lambda *given, library: (one, {"macs": 64}))
    monkeypatch.setattr(inputs + "design_of_run", lambda run, design: ({"macs": 32}, design))
    monkeypatch.setattr(module, "evaluated_run", lambda what, command: SimpleNamespace(spec=one))
    return one


def test_each_kind_is_simulated_in_its_way(spec, monkeypatch):
    monkeypatch.setattr("dse.analysis.explain.simulated.simulated_runs", lambda results, traces: (results, traces))
    traces = {"chat": None, "live": 7}
    both = {"chat": "2x h100_sxm chat", "live": "2x h100_sxm live"}
    assert module._simulated(subject("chips")) == (both, traces)
    assert module._simulated(subject("file")) == ({"design": 64}, traces)
    assert module._simulated(subject("run")) == ({"design": 32}, traces)


def test_each_kind_has_its_curves_and_a_file_its_baselines(spec, monkeypatch):
    from dse.analysis.explain.curve import Curve

    curve = object.__new__(Curve)
    monkeypatch.setattr(module, "replace", lambda one, name: (one, name))
    monkeypatch.setattr("dse.analysis.explain.curve.baseline_curves", lambda evaluator, name: [curve])
    monkeypatch.setattr("dse.analysis.explain.curve.all_curves", lambda evaluator, designs: designs)
    assert module._curves(subject("chips")) == [(curve, "2x h100_sxm")]
    assert module._curves(subject("file")) == {"mine": {"macs": 64}}
    assert module._curves(subject("run")) == {"knee": {"macs": 32}}
    monkeypatch.setattr("dse.analysis.compare.compare", lambda evaluator, designs: designs)
    monkeypatch.setattr("dse.render.terminal.comparison.comparison_parts", lambda sides, short: [sides, short])
    assert module._beside(subject("run")) == module._beside(subject("chips")) == []
    sides, short = module._beside(subject("file"))
    assert short is True and sides["mine"]["macs"] == 64 and len(sides["mine"]) > 20, "defaults written out"
    spec.baselines = {}
    assert module._beside(subject("file")) == []

"""Sections of a report made of words and tables, of runs made by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.library import LibraryParameter
from dse.analysis.explain.curve import RATES, Curve, CurvePoint
from dse.render.report import sections, uncertainty
from dse.render.report.curves import curves_section, for_page
from dse.render.terminal.tables import Lines, TextTable
from dse.uncertainty.sensitivity import Swing
from tests.dse.render.terminal.made import pick, run, sweep


@pytest.fixture
def named(monkeypatch):
    """Tables by their name, lines by theirs."""
    for name in ("picks_table", "misses_table", "constraints_table", "axes_table", "overview_table"):
        monkeypatch.setattr(sections, name, lambda run, name=name: TextTable(name, ("a",), [("b",)]))
    for name in ("asked", "found", "confidence_lines"):
        monkeypatch.setattr(sections, name, lambda run, name=name: [name])
    return monkeypatch


def captions(html):
    return [part.partition("</caption>")[0] for part in html.split("<caption>")[1:]]


KNEE = pick("knee", 5, {}, macs=1, node="tsmc_5")


def test_what_was_asked_and_found(named):
    assert sections.head_section(run(sweep())) == (
        '<div class="two"><div><h2>What was asked</h2><ul><li>asked</li></ul></div>'
        "<div><h2>What was found</h2><ul><li>found</li></ul>"
        "<h2>Results that depend on low-confidence inputs</h2><ul><li>confidence_lines</li></ul></div></div>"
    )
    named.setattr(sections, "confidence_lines", lambda run: [])
    assert sections.head_section(run(sweep())).endswith("<ul><li>found</li></ul></div></div>")


def test_picks_misses_and_what_binds(named):
    for picks, counts, shown in (
        ([KNEE], {}, ["picks_table"]), ([KNEE], {"feasible": 0}, ["picks_table", "misses_table"]),
        ([], {"feasible": 0}, ["misses_table"]), ([], {"feasible": 0, "evaluated": 0}, []),
    ):  # fmt: skip
        assert captions(sections.picks_section(run(sweep(), picks=picks, counts=counts))) == shown
    assert captions(sections.binding_section(run(sweep()))) == ["constraints_table", "axes_table"]
    asked = []
    named.setattr(
        sections, "differing_parts",
        lambda run, most: asked.append(most) or ([TextTable("differ", ("a",), [("b",)]), Lines(["no"])], ["a line"]),
    )  # fmt: skip
    html = sections.overview_section(run(sweep(), picks=[KNEE]))
    assert captions(html) == ["overview_table", "differ"] and html.endswith('<p class="hint">a line</p>')
    assert asked == [None] and sections.overview_section(run(sweep(baselines={"a100": 1}))) == html
    assert sections.overview_section(run(sweep())) == ""


def test_picks_beside_the_baselines(named):
    asked = []
    named.setattr(sections, "compare", lambda evaluator, designs: asked.append(designs) or ["one", "two"])
    named.setattr(
        sections, "comparison_table", lambda one, *, with_ratios: TextTable(f"{one} {with_ratios}", ("a",), [("b",)])
    )
    named.setattr(sections, "what_they_are", lambda one: [f"what {one} is"])
    # Of picks that are one design the first names it, in the order of the picks.
    picks = [KNEE, pick("best_cost_usd", 4, {}, macs=2), pick("best_tdp_w", 5, {}, macs=1)]
    html = sections.comparison_section(run(sweep(), picks=picks), None)
    assert captions(html) == ["one True", "two True"] and "<li>what one is</li>" in html and "what two is" not in html
    assert [{name: design["macs"] for name, design in one.items()} for one in asked] == [
        {"best_cost_usd": 2, "knee": 1}
    ]
    none = "<p>There is nothing to compare.</p>"
    assert sections.comparison_section(run(sweep()), None) == none
    assert sections.comparison_section(run(sweep(baselines={"a100": 1})), None) == html and asked[1] == {}
    named.setattr(sections, "compare", lambda evaluator, designs: [])
    assert sections.comparison_section(run(sweep(baselines={"a100": 1})), None) == ""


def test_which_parameters_decide(named):
    shares = pd.DataFrame({
        "parameter": ["macs", "memory", "dies", "macs", "memory", "dies"], "metric": ["z"] * 3 + ["a"] * 3,
        "total_order": [0.25, 0.5, -0.004, 0.5, math.nan, -0.0],
    })  # fmt: skip
    asked = []
    named.setattr(sections, "space_sensitivity", lambda spec, *, samples: asked.append(samples) or shares)
    named.setattr(sections, "Space", lambda spec: SimpleNamespace(dimensions=spec.space))
    shown = []
    named.setattr(sections.markup, "shaded_table", lambda table: shown.append(table) or "")
    assert sections.importance_section(run(sweep())).startswith("<p>1 means that nothing else matters,")
    # The metrics in their order, the parameter with most of all first; what estimates leave below nothing is nothing.
    assert shown[0].headings == ("parameter", "z", "a")
    assert shown[0].cells == (("macs", "0.25", "0.50"), ("memory", "0.50", "n/a"), ("dies", "0.00", "0.00"))
    assert asked == [256] and sections.importance_section(run(sweep(space={}))) == ""


def parameter(confidence, *sources, **changes):
    usual = {"typ": 1234.5, "low": 1000.0, "high": 2000.0, "unit": "W", "year": 2024, "confidence": confidence}
    return LibraryParameter(sources=sources, **{**usual, **changes})


SOURCES = {name: SimpleNamespace(title=title) for name, title in (("p", "A paper"), ("q", "A paper"), ("r", "Another"))}


def test_the_numbers_of_the_library_with_their_sources():
    given = [
        ("a.b", parameter("high", "p", "q", "r")), ("a.c", parameter("low", "p", low=None, year=None)),
        ("a.d", parameter("low", "r", high=None)),
    ]  # fmt: skip
    html = sections.parameters_section(given, SOURCES)
    assert html.startswith(
        "<p>The designs shown depend on 3 parameters of the library: 1 of high confidence, 0 of medium confidence, "
        "2 of low confidence.</p><details><summary>All of them, with sources</summary>"
    )
    assert "<caption>" not in html and 'class="number"' not in html
    cells = [[cell.partition("<")[0] for cell in row.split('">')[1:]] for row in html.split("<tr>")[2:]]
    assert cells[0][:1] == ["a.b"] and cells[0][1:] == [
        "W", "1\u00a0234", "1\u00a0000 to 2\u00a0000", "2024", "high", "A paper; Another",
    ]  # fmt: skip
    assert [row[3:5] for row in cells] == [["1\u00a0000 to 2\u00a0000", "2024"], ["", ""], ["", "2024"]]


def test_where_a_run_comes_from(monkeypatch, tmp_path):
    (tmp_path / "sweep.yaml").write_text("a: <b>\n")
    (tmp_path / "resolved.yaml").write_text("c: d\n")
    manifest = {
        "started": "s",
        "spec_sha256": "h",
        "library_sha256": "l",
        "python": "3",
        "packages": {"numpy": "1", "b": "2"},
    }
    made = run(sweep(), manifest=manifest, path=tmp_path)
    made.file = lambda name: tmp_path / name
    html = sections.provenance_section(made)
    entries = dict(part.replace("</dt>", "").replace("</dd>", "").split("<dd>") for part in
                   html.partition("</dl>")[0].split("<dt>")[1:])  # fmt: skip
    assert entries == {
        "run": str(tmp_path), "started": "s", "finished": "", "sampler": "grid, seed 3", "sweep (SHA-256)": "h",
        "library (SHA-256)": "l", "commit": "not run from a checkout", "python": "3", "packages": "numpy 1, b 2",
    }  # fmt: skip
    assert html.index("a: &lt;b&gt;") < html.index("c: d")


def test_what_every_design_shares():
    made = run(sweep(), picks=[KNEE], designs=pd.DataFrame({"id": [5], "macs": [1], "margin node": [1.0]}))
    assert sections.shared_settings(made) == {"node": "tsmc_5"}
    made.picks = []
    assert sections.shared_settings(made) == {}


# -- uncertainty and curves -------------------------------------------------------------------------------------------


def swing(name, paths, low, typ, high):
    return Swing(SimpleNamespace(name=name, paths=paths, confidence="low"), "tpot", low, typ, high)


def drawn(**changes):
    found = SimpleNamespace(
        draws=400, p_feasible=np.array([0.25, 0.5, 0.75]), nominal={"tpot": np.array([1.0, 2.0, 3.0])},
        quantiles={"tpot": np.arange(9.0).reshape(3, 3)},
    )  # fmt: skip
    return SimpleNamespace(
        **{"found": found, "ids": [9, 5, 7], "subject": (5, "best_cost_usd"), "swings": (), **changes}
    )


def test_what_the_scripts_draw_of_draws():
    made = drawn(swings=[swing("x", ("a.b",), 1.0, 2.0, 3.0)])
    told = uncertainty.for_page(made, pd.DataFrame({"id": [5, 6, 9]}))
    assert told == {
        "draws": 400, "of": {"row": 0, "pick": "best_cost_usd"}, "probability": {2: 0.25, 0: 0.5},
        "metrics": {"tpot": {2: [1.0, 0.0, 1.0, 2.0], 0: [2.0, 3.0, 4.0, 5.0]}},
        "swings": [["tpot", "x", 1.0, 2.0, 3.0, "low"]],
    }  # fmt: skip
    assert uncertainty.for_page(made, pd.DataFrame({"id": [6]}))["of"] == {"row": None, "pick": "best_cost_usd"}


def test_which_designs_are_drawn(monkeypatch):
    asked = []
    monkeypatch.setattr(uncertainty, "robust_run", lambda run, **options: asked.append(options))
    assert uncertainty.drawn_picks(run(sweep())) is None and asked == []
    uncertainty.drawn_picks(run(sweep(), picks=[KNEE]))
    uncertainty.drawn_picks(run(sweep(), picks=[KNEE], counts={"feasible": 0}))
    usual = {"draws": 400, "at_most": 1, "fractions": False}
    assert asked == [{**usual, "misses": False}, {**usual, "misses": True}]


def test_the_numbers_that_moved_the_design_most():
    swings = [
        swing("one", ("a.b",), 9.0, 10.0, 11.0), swing("again", ("a.b",), 8.0, 10.0, 13.0),
        swing("less", ("a.b",), 9, 10, 10),
        swing("tied", ("a.c", "a.d"), 5.0, -10.0, -10.0), swing("none", ("a.e",), 0.0, 0.0, 1.0),
        swing("still", ("a.f",), 1.0, 1.0, 1.0), swing("like", ("a.a",), 8.0, 10.0, 13.0),
    ]  # fmt: skip
    paths = {f"a.{letter}": parameter("low", "p", "q", "r") for letter in "abcdef"}
    library = SimpleNamespace(parameters=paths, sources=SOURCES)
    table = uncertainty._mattered(drawn(swings=swings), library)
    assert table.title == "Numbers of the library that mattered for best cost usd (design 5)" and table.names == 2
    # The largest relative swing first, alike by name; what moves nothing is left out.
    assert [(row[0], row[6]) for row in table.cells] == [
        ("a.e", "tpot by inf %"), ("a.c", "tpot by 150 % (with others)"), ("a.d", "tpot by 150 % (with others)"),
        ("a.a", "tpot by 50 %"), ("a.b", "tpot by 50 %"),
    ]  # fmt: skip
    assert table.cells[0][1:6] == ("W", "1 000", "1 234", "2 000", "low") and table.cells[0][7] == "A paper; Another"
    many = [swing("x", tuple(f"p{k:02}" for k in range(31)), 9.0, 10.0, 11.0)]
    library.parameters = {f"p{k:02}": parameter("low", "p") for k in range(31)}
    assert len(uncertainty._mattered(drawn(swings=many), library).cells) == 30


def curve(name, workload, points=2, baseline=False):
    rates = {rate: k + 1.0 for k, rate in enumerate(RATES)}
    metrics = {"tpot_ms": 8.0, "ttft_ms": 90.0, "usd_per_million_tokens": 0.5}
    made = tuple(CurvePoint(2**k, 100.0 / 2**k, rates, metrics, k == 0) for k in range(points))
    return Curve(name, workload, 2, baseline, made, 1, None, 30.0)


def test_curves_of_a_page():
    told = for_page([curve("knee", "chat"), curve("none", "chat", 0), curve("a100", "live", 1, True)])
    assert [*told["rates"]] == [*RATES] and [one["name"] for one in told["lines"]] == ["knee", "a100"]
    assert told["lines"][0] == {
        "name": "knee", "workload": "chat", "chips": 2, "baseline": False, "limit": 30.0, "batches": [1, 2],
        "users": [100.0, 50.0], "rates": {rate: [k + 1.0] * 2 for k, rate in enumerate(RATES)}, "within": [True, False],
    }  # fmt: skip
    html = curves_section([curve("knee", "chat"), curve("none", "more", 0), curve("a100", "<live>", 1, True)])
    assert '<option value="chat">chat</option><option value="&lt;live&gt;">' in html and "more</option>" not in html
    assert len(captions(html)) == 2 and html.startswith('<p class="hint">Every machine')
    assert curves_section([curve("none", "chat", 0)]) == curves_section([]) == ""

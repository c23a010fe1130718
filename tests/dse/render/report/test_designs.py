"""Which designs a page shows, and what of them, of tables made by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.table import Choice
from dse.errors import RunError
from dse.render import report
from dse.render.report import page as pages
from dse.render.report.breakdowns import breakdowns
from dse.render.report.designs import (
    missed,
    page_columns,
    page_metrics,
    position_of,
    shown_designs,
    states,
)
from dse.sweep.parameters import RangeSpec
from tests.dse.render.terminal.made import fixed, goal, limit, listed, pick, run, sweep, workload


def table(**changes):
    """Twelve designs: 1 to 4 on the front, 5, 6 and 11 feasible beside, the others not."""
    ids = np.array([7, 3, 11, 0, 5, 1, 9, 2, 8, 6, 4, 10])
    violation = {7: 0.5, 0: 0.25, 9: 0.25, 8: 0.125, 10: 1.0}
    return pd.DataFrame({
        "id": ids, "pareto": np.isin(ids, [1, 2, 3, 4]), "feasible": np.isin(ids, [1, 2, 3, 4, 5, 6, 11]),
        "violation": [violation.get(int(one), 0.0) for one in ids], **changes,
    })  # fmt: skip


def test_what_matters_is_shown_first():
    made = run(sweep(), designs=table(), picks=[pick("knee", 3, {}), pick("best_cost_usd", 11, {})])

    def shown(at_most, least=2):
        frame = shown_designs(made, at_most, least_infeasible=least)
        assert list(frame.index) == [*range(len(frame))]
        return list(frame["id"])

    assert shown(12) == [*range(12)]
    # Picks and the two that miss least; then the front; then the feasible; then the others, at even steps.
    assert shown(8) == [0, 1, 2, 3, 4, 5, 8, 11]
    assert shown(9) == [0, 1, 2, 3, 4, 5, 6, 8, 11]
    assert shown(10) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 11]
    assert shown(11) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert shown(6) == [0, 1, 3, 4, 8, 11]
    assert shown(4) == shown(2) == [0, 3, 8, 11]
    assert shown(5, 0) == [1, 2, 3, 4, 11] and shown(2, 0) == [3, 11]


def test_states_and_misses_by_number():
    frame = table()[:4]
    assert states(frame).tolist() == [0, 2, 1, 0] and states(frame).dtype == np.uint8
    frame = pd.DataFrame({"id": [1, 2, 3], "margin a": [0.0, -0.5, math.nan], "x": [1, 2, 3], "margin b": [-1, -1, 1]})
    labels, bits = missed(frame)
    assert labels == ["a", "b"] and bits.tolist() == [2, 3, 0] and bits.dtype == np.uint32
    wide = pd.DataFrame({f"margin {k}": [-1.0] for k in range(33)})
    assert len(missed(wide)[0]) == 32 and missed(wide)[1].tolist() == [2**32 - 1]
    assert position_of(pd.DataFrame({"id": [2, 5, 9]}), [9, 2]) == [2, 0]


def test_the_columns_of_a_page():
    log = RangeSpec.model_construct(low=1.0, high=9.0, step=None, levels=None, log=True, integer=False, when={})
    spec = sweep(
        space={"memory": listed("a", "b"), "macs": [log], "clock_ghz": listed(1, 2), "node": fixed("n"),
               "dies": listed(1, 2)},
        objectives=[goal("chat.tpot_ms")], constraints=[limit("tdp_w <= 150")],
    )  # fmt: skip
    value = 1 + 2.0**-12 + 2.0**-17 + 2.0**-22
    frame = pd.DataFrame({
        "id": [0, 1, 2], "feasible": [False, True, True], "pareto": [False, False, True],
        "memory": pd.Series(["b", None, "a"], dtype="category"), "macs": [1.0, 2.5, 9.0], "clock_ghz": [1.0, 2.0, 1.0],
        "chat.tpot_ms": [value] * 3, "tdp_w": [100.0, 200.0, math.nan],
    })  # fmt: skip
    columns = page_columns(spec, frame)
    assert [(one.name, one.kind, one.unit, one.log) for one in columns] == [
        ("memory", "parameter", "", False), ("macs", "parameter", "", True), ("clock_ghz", "parameter", "GHz", False),
        ("chat.tpot_ms", "metric", "ms", False), ("tdp_w", "metric", "W", False),
    ]  # fmt: skip
    memory, macs, clock, tpot, tdp = columns
    assert [memory.names[code] if code != 255 else None for code in memory.values] == ["b", None, "a"]
    assert memory.values.dtype == np.uint8 and macs.values.tolist() == [1.0, 2.5, 9.0] and macs.names == ()
    # 10 bits are kept of what is infeasible, 15 of what is feasible, 18 of the front.
    assert tpot.values.tolist() == [1.0, 1 + 2.0**-12, 1 + 2.0**-12 + 2.0**-17]
    assert clock.values.dtype == tpot.values.dtype == np.float32 and tdp.values[:2].tolist() == [100.0, 200.0]
    # Of a number just above a step of its bits the one below that would be kept is another.
    for bits, state in ((10, 0), (15, 1), (18, 2)):
        exact = 1 + 2.0**-bits
        near = frame.assign(**{"chat.tpot_ms": [exact, exact, exact]})
        assert page_columns(spec, near)[3].values[state] == exact
        near = frame.assign(**{"chat.tpot_ms": [1 + 2.0 ** -(bits + 1)] * 3})
        assert page_columns(spec, near)[3].values[state] == exact
    assert memory.described() == {
        "name": "memory", "unit": "", "meaning": memory.meaning, "kind": "parameter", "names": ["a", "b"], "log": False,
    }  # fmt: skip
    named = page_metrics(sweep(workloads={"chat": workload(), "live": workload()}))
    assert named[:4] == ["chat.tpot_ms", "cost_usd", "die_mm2", "tdp_w"] and len(set(named)) == len(named)
    assert named[5:8] == ["chat.ttft_ms", "chat.tokens_per_s", "chat.decode_w"] and "live.memory_gib" in named
    assert named.index("live.tpot_ms") < named.index("embodied_kg")


def test_breakdowns_stand_under_paths_of_words(monkeypatch):
    operators = {
        "qkv": {"ms": np.array([1.0, 2.0]), "bound": Choice(("a", "b"), np.array([1, 0])), "bytes_moved": 3.0,
                "macs": 4.0},
        "outside_operators": {"ms": 0.5, "bound": None, "bytes_moved": 0.0, "macs": 0.0},
    }  # fmt: skip
    work = {"ms": 8.0, "bound_ms": 6.0, "board_w": np.array([5.0]), "power_w": {"macs": 7.0}, "operators": operators}
    columns = {
        "blocks": {"area_mm2": {"macs": np.array([1.0, 2.0])}}, "margins": {"tdp": np.array([[0.5], [0.25]])},
        "limits": {"heat": {"used": 1.0, "allowed": 2.0, "margin": 0.5}},
        "workloads": {"chat": {"fits": np.array([True, False]), "decode": work, "prefill": {**work, "operators": {}},
                               "roofs": {"linear_tflops": 9.0}}},
    }  # fmt: skip
    monkeypatch.setattr("dse.render.report.breakdowns.explained", lambda evaluator, designs: columns)
    result = breakdowns(None, SimpleNamespace(rows=2))
    told = {" ".join(path): values.tolist() for path, values in result.items()}
    assert told == {
        "blocks area_mm2 macs": [1, 2], "margins tdp": [0.5, 0.25], "limits heat used": [1, 1],
        "limits heat allowed": [2, 2],
        "workloads chat fits": [1, 0], "workloads chat roofs linear_tflops": [9, 9],
        "workloads chat decode total_ms": [8, 8], "workloads chat decode bound_ms": [6, 6],
        "workloads chat decode board_w": [5, 5], "workloads chat decode power_w macs": [7, 7],
        "workloads chat decode ms qkv": [1, 2], "workloads chat decode ms outside_operators": [0.5, 0.5],
        "workloads chat decode bound qkv": [1, 0], "workloads chat decode bytes qkv": [3, 3],
        "workloads chat decode macs qkv": [4, 4], "workloads chat prefill total_ms": [8, 8],
        "workloads chat prefill bound_ms": [6, 6], "workloads chat prefill board_w": [5, 5],
        "workloads chat prefill power_w macs": [7, 7],
    }  # fmt: skip
    assert all(values.dtype == np.float64 for values in result.values())


def test_which_designs_have_a_breakdown(monkeypatch):
    asked = []
    monkeypatch.setattr(pages, "designs_of", lambda spec, rows: asked.append(list(rows["id"])))
    monkeypatch.setattr(
        pages,
        "breakdowns",
        lambda evaluator, designs: {("a", "b"): np.array([1 + 2.0**-13, 1 + 2.0**-15]), ("c",): np.ones(2)},
    )
    monkeypatch.setattr(pages, "packed_columns", lambda columns: [column.tolist() for column in columns])
    frame = table().sort_values("id", ignore_index=True)
    made = run(sweep(), picks=[pick("knee", 11, {})])
    described, numbers = pages._details(made, None, frame)
    assert described == {"rows": [1, 2, 3, 4, 11], "paths": [["a", "b"], ["c"]]} and asked[-1] == [1, 2, 3, 4, 11]
    # 13 bits are kept.
    assert numbers == [[1 + 2.0**-13, 1.0], [1, 1]]
    none = run(sweep(), picks=[], counts={"feasible": 0})
    assert pages._details(none, None, frame)[0]["rows"] == [0, 7, 8, 9, 10]
    assert pages._evenly_spread(pd.RangeIndex(300), False) == [*range(200)]
    spread = pages._evenly_spread(pd.RangeIndex(4001), True)
    assert len(spread) == 2000 and (spread[0], spread[-1]) == (0, 4000)


def test_what_stands_out_among_the_designs(monkeypatch):
    spec = sweep(baselines={"a100": SimpleNamespace(words="words of a100")})
    side = SimpleNamespace(value=150.0, side="max", text="tdp_w <= 150")
    scene = SimpleNamespace(limits={"tdp_w": [side, side], "die_mm2": []}, baselines={"a100": {"tdp_w": 400.0}})
    monkeypatch.setattr(pages, "scene_of", lambda run: scene)
    numbers = {f"floorplan.{name}": SimpleNamespace(typ=place + 1.5) for place, name in
               enumerate(("aspect_ratio", "usable_edge_fraction"))}  # fmt: skip
    monkeypatch.setattr(pages, "library_of", lambda added: SimpleNamespace(parameters=numbers))
    picks = [pick("knee", 9, {}), pick("best_cost_usd", 2, {}), pick("nearest_to_targets", 9, {})]
    marks = pages._marks(run(spec, picks=picks), pd.DataFrame({"id": [2, 5, 9]}))
    assert marks["objectives"][1] == {"metric": "cost_usd", "direction": "minimize"}
    assert marks["limits"] == [{"metric": "tdp_w", "value": 150.0, "side": "max", "text": "tdp_w <= 150"}] * 2
    assert marks["picks"] == [{"row": 2, "names": "knee, nearest to targets"}, {"row": 0, "names": "best cost_usd"}]
    (base,) = marks["baselines"]
    assert (base["name"], base["words"], base["values"]["tdp_w"]) == ("a100", "words of a100", 400.0)
    assert math.isnan(base["values"]["cost_usd"]) and marks["units"]["tdp_w"] == "W"
    assert marks["floorplan"] == {"aspect_ratio": 1.5, "usable_edge_fraction": 2.5}


def test_a_page_is_put_together(monkeypatch):
    asked = []
    technology = SimpleNamespace(
        library=SimpleNamespace(parameters={"b": 2, "a": 1, "c": 3}, sources="sources"), reads={"b", "a"}
    )
    monkeypatch.setattr(pages, "Evaluator", lambda spec: SimpleNamespace(technology=technology))
    monkeypatch.setattr(pages, "shown_designs", lambda run, points: f"{points} designs")
    monkeypatch.setattr(pages, "_data", lambda run, evaluator, table, drawn: (
        {"table": table, "drawn": drawn}, {"designs": "DESIGNS", "details": "DETAILS"}
    ))  # fmt: skip
    monkeypatch.setattr(pages, "curves_of", lambda run: "speeds")
    monkeypatch.setattr(pages, "verdict", lambda run: SimpleNamespace(lines=["yes", "because"]))
    monkeypatch.setattr(pages, "_plotly", lambda: "plotly")
    monkeypatch.setattr(pages, "_template", lambda name: (
        "{{title}}|{{name}}|{{verdict}}|{{overview}}|{{sections}}|{{data}}|{{designs}}|{{details}}|{{asks}}|{{script}}"
        if name == "page.html" else name
    ))  # fmt: skip
    monkeypatch.setattr(pages.curves, "for_page", lambda speeds: speeds)
    monkeypatch.setattr(pages.curves, "curves_section", lambda speeds: f"curves of {speeds}")
    for name in ("overview", "importance", "head", "picks", "binding", "provenance"):
        monkeypatch.setattr(pages.sections, f"{name}_section", lambda run, name=name: name)
    monkeypatch.setattr(pages.sections, "comparison_section", lambda run, evaluator: evaluator)
    monkeypatch.setattr(pages.sections, "parameters_section", lambda given, sources: asked.append(given) or sources)
    monkeypatch.setattr(pages.uncertainty, "drawn_picks", lambda run: run.drawn)
    monkeypatch.setattr(pages.uncertainty, "uncertainty_section", lambda run, drawn: f"moved by {drawn}, ")
    made = run(sweep(), name="a & b", evaluator="kept", drawn=None)
    title, name, answer, overview, shown, data, designs, details, asks, script = pages.page(made).split("|")
    assert (title, name) == ("a &amp; b: design-space exploration", "a &amp; b")
    assert (answer, overview, designs, details) == ("<p>yes</p><p>because</p>", "overview", "DESIGNS", "DETAILS")
    assert asks == "'none'" and script.splitlines() == [
        "data.js", "charts.js", "explorer.js", "lines.js", "design.js", "curves.js", "main.js",
    ]  # fmt: skip
    assert data == '{"table":"16000 designs","drawn":null,"live":null,"curves":"speeds"}'
    inner = [part.partition("</summary>")[2].removesuffix("</details>") for part in shown.split("<details")[1:]]
    assert inner == ["importance", "head", "picksbinding", "kept", "curves of speeds", "sources", "provenance"]
    assert asked == [[("a", 1), ("b", 2)]]
    made.drawn = "draws"
    live = pages.Live({"where": "here"}, "function startLive")
    *_, shown, data, _, _, asks, script = pages.page(made, points=5, live=live).split("|")
    assert "moved by draws, sources" in shown and asks == "'self'"
    assert data == '{"table":"5 designs","drawn":"draws","live":{"where":"here"},"curves":"speeds"}'
    assert script.splitlines()[6:] == ["main.js", "function startLive"]


def test_where_a_report_is_written(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(pages, "page", lambda run, *, points: asked.append(points) or "<html>")
    made = run(sweep(), path=tmp_path)
    made.require_builtin = lambda command: made
    monkeypatch.setattr(report, "open_run", lambda where: made)
    assert (
        report.write_report("here") == tmp_path / "report.html" and (tmp_path / "report.html").read_text() == "<html>"
    )
    assert report.write_report("here", out=tmp_path / "other.html", points=5) == tmp_path / "other.html"
    assert asked == [16_000, 5]
    made.manifest["counts"]["evaluated"] = 0
    with pytest.raises(RunError, match="evaluated no design, so there is nothing to report"):
        report.write_report("here")

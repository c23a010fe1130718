import json
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.path import Path as MatplotlibPath

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.quantities.metrics import METRICS
from cost_models.silicon.beachfront import Edge, along_the_sides
from cost_models.table import Table
from dse.analysis.explain.designs import explain_baseline, explain_designs
from dse.analysis.explain.sensitivity import space_sensitivity, write_sensitivity
from dse.errors import RunError, SpecError
from dse.evaluator import Evaluator
from dse.render.plots import plot_run
from dse.render.plots.breakdown import block_bar, block_names, grouped_parts, power_bar
from dse.render.plots.curve import draw_curves
from dse.render.plots.floorplan import Box, edge_of, edge_strips, slice_boxes
from dse.render.plots.labels import Label, place_labels
from dse.render.plots.latency import BATCHES, CONTEXTS, latencies_of
from dse.render.plots.pair import draw_pair
from dse.render.plots.parallel import draw_parallel
from dse.render.plots.pareto import draw_pareto, edge_of_pair
from dse.render.plots.reading import curves_of, explanations_of, scene_of
from dse.render.plots.scene import Scene, ShownPick
from dse.render.plots.style import axis_label, drawing, freeze_layout, new_figure, told_apart
from dse.render.terminal.robustness import confidence_lines
from dse.render.terminal.summary import named_picks
from dse.runs import run
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import DRAWN


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return run(parse_spec(DRAWN), out=tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def drawn(stored):
    """The files of all figures, and each figure as often as it was laid out."""
    laid_out = []
    execute = ConstrainedLayoutEngine.execute

    def counted(engine, figure):
        laid_out.append(figure)
        return execute(engine, figure)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ConstrainedLayoutEngine, "execute", counted)
        return plot_run(stored.path, formats=("png", "svg")), laid_out


@pytest.fixture(scope="module")
def figures(drawn):
    return drawn[0]


def test_every_kind_of_figure_lies_in_the_run(stored, figures):
    names = {path.stem for path in figures}
    pairs = {
        "pareto-chat.tpot_ms-chat.tokens_per_joule",
        "pareto-chat.tpot_ms-cost_usd",
        "pareto-chat.tokens_per_joule-cost_usd",
    }
    assert names == pairs | {
        "parallel",
        "roofline-chat",
        "breakdown-power-chat",
        "breakdown-area",
        "breakdown-cost",
        "floorplan",
        "latency-chat",
        "sensitivity",
        "curve-chat",
        "margins",
    }
    assert {path.parent for path in figures} == {stored.path / "plots"}
    assert len(figures) == 2 * len(names)


def test_no_figure_is_blank(figures):
    for path in figures:
        if path.suffix == ".png":
            grey = imread(path)[..., :3].mean(axis=2)
            assert min(grey.shape) > 300
            assert grey[0, 0] == 1.0
            assert 0.01 < (grey < 0.95).mean() < 0.9


def test_the_same_run_gives_the_same_bytes_whatever_the_settings(stored, figures):
    before = {path: path.read_bytes() for path in figures}
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink", "savefig.dpi": 20}):
        kinds = ["pareto", "parallel", "breakdown"]
        again = [*plot_run(stored.path, kinds=kinds, formats=["svg"]), *plot_run(stored.path, kinds=["roofline"])]
    assert [path for path in again if path.read_bytes() != before[path]] == []


def test_wrong_kinds_and_runs_are_issues(stored, tmp_path):
    with pytest.raises(SpecError, match="perhaps pareto") as caught:
        plot_run(stored.path, kinds=["pareot", "pie"])
    assert len(caught.value.issues) == 2
    with pytest.raises(SpecError, match="is not png, svg or pdf"):
        plot_run(stored.path, formats=["gif"])
    with pytest.raises(RunError):
        plot_run(tmp_path / "nowhere")


def test_weak_points_beyond_those_told_are_counted(stored):
    every = confidence_lines(stored, at_most=100)
    assert len(every) > 1
    assert confidence_lines(stored, at_most=1) == [
        every[0], f"and {len(every) - 1} more; dse robust draws all of them together"
    ]  # fmt: skip
    assert confidence_lines(stored, at_most=len(every)) == every


def test_designs_that_differ_by_rounding_are_one_place(tmp_path):
    front = pd.DataFrame({"tdp_w": [100.0, 100.0 * (1 + 1e-9)], "cost_usd": [50.0 * (1 + 1e-9), 50.0]})
    others = pd.DataFrame({"tdp_w": [300.0], "cost_usd": [90.0]})
    scene = Scene("near", ("tdp_w", "cost_usd"), frozenset(), (), front, True, others)
    with drawing():
        (path,) = draw_pareto(scene, tmp_path, ("svg",))
    ticks = re.findall(r"<!-- ([0-9.]+) -->", path.read_text())
    assert len(ticks) == len(set(ticks)), ticks
    assert "the same beside other designs" not in path.read_text()


def test_asking_for_plots_does_not_import_matplotlib():
    code = (
        "import sys, json, dse.render.plots; print(json.dumps([m for m in sys.modules if m.startswith('matplotlib')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_parallel_coordinates_name_what_has_names_and_what_does_not_apply(tmp_path):
    front = pd.DataFrame(
        {
            "memory": pd.Categorical(["hbm3", "gddr6_16", "hbm3"], categories=["hbm3", "lpddr5x_9600", "gddr6_16"]),
            "memory_device_bits": [np.nan, 64, 32],
            "macs": [1024, 65536, 8192],
            "node": ["tsmc_5"] * 3,
            "tdp_w": [1.0, 2.0, 3.0],
            "cost_usd": [3.0, 2.0, 1.0],
        }
    )
    pick = ShownPick("knee", {"memory": "gddr6_16", "memory_device_bits": 64, "macs": 65536, "tdp_w": 2, "cost_usd": 2})
    scene = Scene(
        "s", ("tdp_w", "cost_usd"), frozenset(), tuple(front.columns[:4]), front, True, front.iloc[:0], (pick,),
        shared={"dies": 1, "die_link": "organic", "second_memory_device_gib": 64},
    )  # fmt: skip
    with drawing():
        (path,) = draw_parallel(scene, tmp_path, ["svg"])
    text = path.read_text()
    for word in ("hbm3", "gddr6_16", "n/a", "[bit]", "8\u2009192", "65\u2009536", "cost_usd", "[W]", "knee"):
        assert word in text
    assert "lpddr5x_9600" not in text
    assert "the same in all of them: node tsmc_5, dies 1" in text
    assert "die_link" not in text and "second_memory" not in text, "no design has such a part"


def test_batches_beside_a_curve_hide_no_other(stored, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("dse.render.plots.style.save", lambda figure, *_: [drawn.append(figure)])
    draw_curves(curves_of(stored), tmp_path)
    (figure,) = drawn
    for panel in figure.axes:
        boxes = [text.get_window_extent() for text in panel.texts]
        assert len(boxes) > 2
        overlaps = [one for k, one in enumerate(boxes) for other in boxes[:k] if one.overlaps(other)]
        assert not overlaps


# -- parts ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_the_edge_of_a_pair_is_what_nothing_beats(points, up_x, up_y):
    table = pd.DataFrame(points, columns=["x", "y"], dtype=float)
    maximised = frozenset(name for name, up in (("x", up_x), ("y", up_y)) if up)
    scene = Scene("s", ("x", "y"), maximised, (), table, True, table.iloc[:0])
    signs = np.array([-1 if up_x else 1, -1 if up_y else 1])
    signed = {tuple(point) for point in np.array(points) * signs}
    best = {p for p in signed if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in signed)}
    edge = edge_of_pair(scene, "x", "y")
    assert {tuple(point) for point in edge * signs} == best
    assert list(edge[:, 0]) == sorted(edge[:, 0])


@given(st.lists(st.floats(-1e7, 1e7), min_size=2, max_size=8, unique=True).map(sorted))
def test_ticks_are_told_apart(values):
    gap = min(np.diff(values))
    if gap < 1e-6 * max(map(abs, values)) or gap < 1e-7:
        return
    read = [float(text.replace("\u2009", "")) for text in told_apart(values)]
    assert len(set(read)) == len(values)
    assert max(abs(a - b) for a, b in zip(read, values, strict=True)) <= 0.16 * gap


def test_an_axis_says_name_unit_and_meaning():
    assert axis_label("chat.tpot_ms", METRICS).startswith("tpot_ms, chat [ms]\ntime of one decode step")
    assert axis_label("die_mm2", METRICS) == "die_mm2 [mm²]\narea of the logic dies, per chip"
    assert axis_label("stored_bits", METRICS).endswith("metadata included")


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_labels_do_not_cover_each_other(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2)) * [1, 0.3]
    with drawing():
        figure = new_figure(7.2, 5.0)
        axes = figure.subplots()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        freeze_layout(figure)
        place_labels(figure, axes, [Label(x, y, f"label {i}") for i, (x, y) in enumerate(points)], marks=points)
        boxes = [text.get_window_extent() for text in axes.texts]
        frame = axes.get_window_extent()
    assert len(boxes) == count
    for i, box in enumerate(boxes):
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_bars_add_up_to_their_totals(stored):
    picks, baselines = explanations_of(stored)
    for one in (*picks.values(), *baselines.values()):
        bars = [power_bar("a", one, "chat"), block_bar("a", one, "area_mm2", "die_mm2")]
        for bar in bars:
            names = block_names([bar])
            sampled = sum(grouped_parts(bar, names).values()) if bar.parts else bar.total
            assert sampled == pytest.approx(bar.total, rel=1e-9)


def test_picks_of_one_design_are_drawn_once(stored):
    ids = [pick["id"] for pick in stored.picks]
    scene = scene_of(stored)
    assert len(scene.picks) == len(set(ids))
    twice = [{"id": 3, "name": name} for name in ("best_chat.tpot_ms", "nearest_to_targets")]
    assert list(named_picks(twice, stored.spec)) == ["best tpot_ms, nearest to targets"]
    assert set(explanations_of(stored)[0]) == {pick.text for pick in scene.picks}


def test_baselines_of_a_scene_are_the_evaluated_ones(stored):
    from dse.evaluator import Evaluator

    evaluator = Evaluator(stored.spec)
    explained = explain_baseline(evaluator, "a100").workloads["chat"].metrics["tpot_ms"]
    assert scene_of(stored).baselines["a100"]["chat.tpot_ms"] == pytest.approx(explained, rel=1e-8)
    knee = next(pick for pick in stored.picks if pick["name"] == "knee")
    again = explain_designs(evaluator, Table.from_settings(knee["design"])).workloads["chat"].metrics["tpot_ms"]
    assert again == pytest.approx(knee["metrics"]["chat.tpot_ms"], rel=1e-8)


def test_indices_of_the_space_are_fractions_and_find_what_decides(tmp_path):
    spec = parse_spec(DRAWN)
    table = space_sensitivity(spec, samples=256)
    assert set(table["parameter"]) == set(Space(spec).dimensions)
    first, total = (table.pivot(index="parameter", columns="metric", values=f"{k}_order") for k in ("first", "total"))
    # Estimates of shares scatter a little around their bounds.
    assert (first < total + 0.1).all().all() and (total > -0.05).all().all() and (first.sum() < 1.1).all()
    # MAC units cost area, but how weights are stored does not.
    assert total.loc["macs", "cost_usd"] > total.loc["weight_format", "cost_usd"]
    assert total.loc["memory", "cost_usd"] > 0.2
    written = write_sensitivity(spec, tmp_path)
    assert len(pd.read_csv(tmp_path / "sensitivity.csv")) == len(written)


@pytest.mark.parametrize("objectives", [1, 2])
def test_of_a_single_parameter_all_goes_with_it(objectives):
    sweep = {
        **DRAWN,
        "space": {"macs": {"low": 1024, "high": 8192, "step": 64}, "memory_devices": 8},
        "constraints": [],
    }
    sweep["objectives"] = [{"metric": name, "direction": "minimize"} for name in ("cost_usd", "die_mm2")[:objectives]]
    table = space_sensitivity(parse_spec(sweep), samples=256)
    assert list(table["parameter"]) == ["macs"] * objectives
    assert table[["first_order", "total_order"]].to_numpy() == pytest.approx(1.0, abs=0.05)


def test_the_floorplan_is_to_scale(stored):
    (_, design), *_ = explanations_of(stored)[0].items()
    areas, edges = design.blocks["area_mm2"], design.blocks["edge_mm"]
    width = np.sqrt(sum(areas.values()) * 1.2)
    wanted = edge_of(design.settings, edges, shipped_library())
    pieces = along_the_sides(width * width / 1.2, wanted, Technology())
    strips, inset = edge_strips(areas, pieces, width, width / 1.2)
    assert sum(strip.name == "memory_interface" for strip in strips) == wanted.units[0] > 0
    for block, edge in (("memory_interface", "memory"), ("host_interface", "host")):
        own = [np.array(strip.points) for strip in strips if strip.name == block]
        assert sum(map(area_of, own)) == pytest.approx(areas[block])
        assert sum(np.hypot(*(points[1] - points[0])) for points in own) == pytest.approx(edges[edge])
    assert max(inset) < width / 2


def area_of(points):
    x, y = points.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


@given(st.floats(1, 70), st.floats(1, 9), st.floats(0.1, 4), st.floats(0.1, 4), st.integers(0, 9))
def test_interfaces_along_the_edge_do_not_cover_each_other(memory, host, memory_mm2, host_mm2, second):
    wanted = Edge(*(np.array([number]) for number in (np.floor(memory), 1.0, 0.0, host, 0.0, float(second), 3.0, 0.0)))
    pieces = along_the_sides(24.0 * 18.0, wanted, Technology({"floorplan.aspect_ratio": 24 / 18}))
    pieces["memory"] = [*pieces.get("memory", []), *pieces.pop("second", [])]
    strips, _ = edge_strips({"memory_interface": memory_mm2, "host_interface": host_mm2}, pieces, 24.0, 18.0)
    across, up = np.meshgrid(np.linspace(0.0131, 23.971, 240), np.linspace(0.0277, 17.963, 180))
    grid = np.column_stack([across.ravel(), up.ravel()])
    inside = np.array([MatplotlibPath(strip.points).contains_points(grid, radius=-1e-6) for strip in strips])
    assert (inside.sum(axis=0) <= 1).all()


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=8))
def test_slices_fill_their_room_in_proportion(areas):
    room = Box("", 1.0, 2.0, 7.0, 5.0)
    boxes = slice_boxes([(str(k), area) for k, area in enumerate(areas)], room)
    for box, area in zip(boxes, areas, strict=True):
        assert box.width * box.height == pytest.approx(35.0 * area / sum(areas))


def test_latencies_are_those_of_the_evaluator(stored):
    pick = stored.picks[0]
    evaluator = Evaluator(stored.spec)
    batches, lengths = np.array(BATCHES, dtype=float), [(context, context) for context in CONTEXTS]
    per_token, to_first = latencies_of(evaluator, pick["design"], "chat", batches, lengths)
    place = CONTEXTS.index(512), BATCHES.index(8)
    changed = {**pick["design"], "chat.batch": 8, "chat.prompt_tokens": 512, "chat.output_tokens": 512}
    result = evaluator.evaluate(Table.from_settings(changed)).metrics
    assert per_token[place] == pytest.approx(result["chat.tpot_ms"][0])
    assert to_first[place] == pytest.approx(result["chat.ttft_ms"][0])
    assert (np.diff(to_first[:, 0]) > 0).all()


# -- what a run draws, and what people ask for --------------------------------------------------------------------


def test_a_figure_is_laid_out_once(drawn):
    _, laid_out = drawn
    assert laid_out and len({id(figure) for figure in laid_out}) == len(laid_out)


def test_any_two_columns_are_drawn(stored, tmp_path):
    (path,) = draw_pair(stored, "memory_devices", "chat.ttft_ms", "memory", folder=tmp_path, formats=("svg",))
    text = path.read_text()
    for word in ("memory hbm3", "memory lpddr5x_9600", "ttft_ms, chat [ms]", "memory_devices"):
        assert word in text
    (path,) = draw_pair(stored, "memory", "chat.tpot_ms", "cost_usd", folder=tmp_path, formats=("svg",))
    text = path.read_text()
    assert "hbm3" in text and "cost_usd [USD]" in text and "≤ 100 ms" in text


def test_columns_that_a_run_has_not_are_issues(stored, tmp_path):
    with pytest.raises(SpecError, match=r"perhaps chat\.ttft_ms"):
        draw_pair(stored, "memory_devices", "chat.tfft_ms", folder=tmp_path)
    with pytest.raises(SpecError, match="a column of numbers"):
        draw_pair(stored, "memory_devices", "memory", folder=tmp_path)

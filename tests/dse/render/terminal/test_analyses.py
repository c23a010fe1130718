"""Tables of the analyses, of results made by hand, every cell worked out."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from dse.analysis.compare import MEASURES, Comparison, Entry
from dse.analysis.diff import Difference
from dse.analysis.explain.curve import COLUMNS, RATES, Curve, CurvePoint
from dse.analysis.explain.simulated import SimulatedMetric
from dse.analysis.exploits import Exploits, FreeLunch
from dse.analysis.fleet import FleetRow
from dse.analysis.relaxation.constraints import AxisExtension, Relaxation, RelaxationReport, RelaxedBound
from dse.analysis.require.bandwidth_limit import DieBandwidth
from dse.analysis.require.changes import VIOLATION, Change
from dse.analysis.require.sizing import SizedDesign
from dse.render.terminal.bandwidth import bandwidth_parts
from dse.render.terminal.comparison import (
    comparison_parts,
    comparison_rows,
    comparison_table,
    ratio_table,
    what_they_are,
)
from dse.render.terminal.compression import codes_table, compression_parts, tensor_lines
from dse.render.terminal.curve import curve_rows, curve_table
from dse.render.terminal.differences import difference_parts
from dse.render.terminal.exploits import exploit_parts, exploit_table
from dse.render.terminal.fleet import fleet_parts
from dse.render.terminal.prices import price_words
from dse.render.terminal.relaxation import (
    axis_extensions_table,
    explanation_parts,
    relaxation_lines,
    relaxations_table,
    stored_table,
)
from dse.render.terminal.requirements import (
    changes_table,
    need_rows,
    needs_table,
    options_table,
    sized_table,
    summary_lines,
)
from dse.render.terminal.simulation import simulation_table
from dse.render.terminal.validation import score_table, validation_parts
from dse.validation.results import ScoreTable, Validation
from dse.weight_codes.codecs import Compressed, NotApplicable
from tests.dse.render.terminal.made import sweep

# -- require ----------------------------------------------------------------------------------------------------------


def need(**changes):
    usual = {
        "weight_format": "int4_g128", "stored_bits": 4.25, "kv_bits": 8.0, "bandwidth_gbps": 1000.0,
        "bandwidth_stack_gbps": 1250.0, "tflops": 50.0, "tflops_stack": math.inf, "capacity_gib": 20.0,
        "perplexity_ratio": 1.02, "quality_ok": True,
        "set_by": {"bandwidth_gbps": "chat.tpot_ms", "tflops": "chat.ttft_ms", "capacity_gib": "chat"},
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **changes})


def option(memory, **changes):
    usual = {
        "memory": memory, "device_bits": 64.0, "devices": 12.0, "devices_ideal": 10.0, "device_gib": 16.0,
        "delivered_gbps": 1300.0, "bandwidth_slack": 0.012345, "capacity_slack": math.inf, "edge_mm": 55.55,
        "edge_allowed_mm": 66.66, "edge_slack": -0.25, "memory_w": 12.345, "most_bits": 6.5432, "in_space": True,
    }  # fmt: skip
    return SimpleNamespace(**{**usual, "memory": memory, **changes})


def test_the_least_that_meets_the_targets():
    chosen = need()
    found = SimpleNamespace(
        targets=("one",), chosen=chosen, needs=(chosen, need(weight_format="bf16", quality_ok=False)),
        options=(option("a"), option("b", most_bits=9.0), option("c", most_bits=9.0)),
    )  # fmt: skip
    assert summary_lines(found) == [
        "least that meets the targets with int4_g128 (4.25 bit) and 8-bit KV cache:",
        "bandwidth 1 000 GB/s delivered, 1 250 with the software stack (chat.tpot_ms)",
        "arithmetic 50 TFLOP/s reached, inf of peak with the stack (chat.ttft_ms)",
        "memory 20 GiB (chat)",
        "at most 9 stored bits per weight can be streamed in time (b all around the largest die)",
    ]
    found.chosen = need(quality_ok=False, set_by={"bandwidth_gbps": "x", "tflops": "y"})
    found.options = (option("a", most_bits=-2.0),)
    lines = summary_lines(found)
    assert lines[0].endswith("8-bit KV cache (no format of the space meets the constraints on perplexity):")
    assert lines[3:] == ["at most 0 stored bits per weight can be streamed in time (a all around the largest die)"]
    for options in ((), (option("a", most_bits=math.nan),)):
        found.options = options
        assert len(summary_lines(found)) == 3
    assert needs_table(found).cells == (
        ("int4_g128", "4.25", "8", "1 000", "1 250", "50", "inf", "20", "1.02", "yes"),
        ("bf16", "4.25", "8", "1 000", "1 250", "50", "inf", "20", "1.02", "NO"),
    )  # fmt: skip
    headings, rows = need_rows(found)
    assert len(headings) == len(rows[1]) == 10 and rows[1][-1] is False
    found.targets = ()
    assert summary_lines(found) == ["no constraint bounds a time: only memory is required"]


def test_memories_that_deliver():
    found = SimpleNamespace(chosen=need(), options=(
        option("a"), option("b", bandwidth_slack=-0.5, capacity_slack=0.0, edge_slack=math.nan, most_bits=-1.0,
                            memory_w=1234.0, in_space=False, edge_mm=0.0, edge_allowed_mm=1234.0),
    ))  # fmt: skip
    table = options_table(found)
    assert table.title == "What can deliver that (int4_g128, 8-bit KV), edge of the largest die"
    assert table.cells == (
        ("a", "64", "12.0 (10.0)", "16", "1 300", "+1.23", "any", "55.5/66.7", "-25", "12.3", "6.54", "yes"),
        ("b", "64", "12.0 (10.0)", "16", "1 300", "-50", "+0", "0/1 234", "any", "1 234", "0", "no"),
    )  # fmt: skip


def test_designs_sized_per_memory():
    slack = {"tdp": 0.5, "memory_device": 0.0, "area": 0.25, "chat.tpot_ms": 0.0, "heat": 0.75}
    found = SimpleNamespace(sized=(
        SizedDesign("hbm3", True, 0.0, {"memory": "hbm3", "macs": 65536, "dies": 1}, slack, {}),
        SizedDesign("hbm4", False, 0.5, {"memory": "hbm4"}, {**slack, "tdp": -0.5, "price": -0.125}, {}),
    ))  # fmt: skip
    assert sized_table(found).cells == (
        ("hbm3", "yes", "0 % to spare: chat.tpot_ms\n25 % to spare: area", "macs 65 536, dies 1"),
        ("hbm4", "NO", "misses tdp by 50 %\nmisses price by 12.5 %", ""),
    )


def test_the_best_single_changes():
    changes = [
        Change("chat.tpot_ms", "macs", 8192.0, 16384.0, 8.0, 6.0, {"tdp_w": (100.0, 125.0), "die_mm2": (5.0, 5.0),
               "cost_usd": (0.0, 3.0), "price_usd": (8.0, 7.0)}, True),
        Change(VIOLATION, "memory", None, "hbm4", 2.0, 1.0, {}, False),
        Change("tdp_w", "dies", 0.0, 2.0, 0.0, 1.0, {"tdp_w": (1.0, 1.0)}),
    ]  # fmt: skip
    table = changes_table(changes, "title", sweep())
    assert table.title == "title" and table.names == 3 and table.cells == (
        ("chat.tpot_ms", "ms", "macs: 8 192 to 16 384", "8", "6", "25",
         "tdp_w +25 %, cost_usd n/a, price_usd -12.5 %", "yes"),
        ("sum of misses", "", "memory: - to hbm4", "2", "1", "50", "-", "NO"),
        ("tdp_w", "W", "dies: 0 to 2", "0", "1", "0", "-", "yes"),
    )  # fmt: skip


# -- where nothing is feasible ----------------------------------------------------------------------------------------


def bound(label, new, by):
    return RelaxedBound(label, "constraints[0].max", 1.0, new, by)


def test_why_nothing_is_feasible():
    design = {"memory": "hbm3", "macs": 65536.0, "clock_ghz": 1.0, "kv_bits": 8.0}
    pair = Relaxation(
        (bound("tdp_w <= 150", 160.53, 0.07), bound("chat.perplexity_ratio <= 1", 1.25, 0.25)), design, {}, 9
    )
    axes = tuple(AxisExtension(f"axis{k}", "", k == 0, 0.5, 0.25 * (k > 0), 2.0, {}) for k in range(9))
    why = RelaxationReport((pair,) * 9, (), axes, ())
    shown = relaxations_table(why, sweep())
    assert len(shown.cells) == 8 and shown.cells[0] == (
        "tdp_w <= 150: 160.5 W\nchat.perplexity_ratio <= 1: 1.25", "25", "memory hbm3, macs 65 536, kv_bits 8",
    )  # fmt: skip
    extended = axis_extensions_table(why)
    assert len(extended.cells) == 8 and extended.cells[:2] == (
        ("axis0", "2", "yes", "0", "50"), ("axis1", "2", "no", "25", "50"),
    )  # fmt: skip

    def told(why):
        return [(part.heading, *part.lines) if hasattr(part, "lines") else part.title for part in
                explanation_parts(why, sweep())]  # fmt: skip

    least, help_ = shown.title, extended.title
    assert told(why) == [least, ("What does not help",), help_]
    assert told(RelaxationReport((), ("tdp", "area"), (), ("reticle", "chat.capacity"))) == [(
        "What does not help", "no constraint and no pair of constraints suffices, however far it gives way",
        "even without constraints nothing can be built: reticle, chat.capacity",
        "giving way alone does not suffice: tdp, area",
    )]  # fmt: skip
    assert told(RelaxationReport((), (), (), (), design)) == [(
        "Feasible after all", "A closer look found a design that meets everything; the sweep's own search missed it.",
        "memory hbm3, macs 65 536, kv_bits 8",
    )]  # fmt: skip


def test_stored_remedies():
    def row(kind, what, then, by=None, feasible=True):
        return {"kind": kind, "what": what, "then": then, "by": by, "feasible": feasible, "set": f"--set {what}"}

    rows = [
        row("axis", "memory", "hbm4"), row("axis", "macs", 1e6, feasible=False), row("pair", "a", 1.0, 0.5),
        row("pair", "b", 2.0, 0.25), row("pair", "c", 3.0, 0.5), row("pair", "d", 4.0, 0.5),
        row("constraint", "tdp_w", 160.5, 0.07), row("constraint", "area", 900.0, 0.1, feasible=False),
    ]  # fmt: skip
    lines = [
        "tdp_w at 160.5, 7 % more room", "a at 1 and b at 2", "c at 3 and d at 4",
        "memory hbm4, outside of the sweep's values",
    ]  # fmt: skip
    assert relaxation_lines(rows) == lines and relaxation_lines(rows, 2) == lines[:2]
    assert len(relaxation_lines([rows[0]] * 7)) == 6
    table = stored_table(rows)
    assert table.names == 2 and table.cells[0] == ("axis", "memory", "hbm4", "n/a", "yes", "--set memory")
    assert table.cells[7] == ("constraint", "area", "900", "10", "no", "--set area")


# -- compare ----------------------------------------------------------------------------------------------------------


def side(name, kind="design", ratio=math.nan, missed=None, intervals=None, **values):
    known = {measure.name: float(place) for place, measure in enumerate(MEASURES)}
    known |= {"decode_cap_stretch": 1.0, "prefill_cap_stretch": math.nan, "overhead_fraction": 0.25}
    ratios = {measure.name: ratio for measure in MEASURES if measure.in_ratio}
    return Entry(name, kind, f"what {name} is", {**known, **values}, ratios, missed or {}, intervals or {})


def test_designs_beside_baselines():
    knee = side("knee", ratio=2.5, intervals={"tpot_ms": (1.5, 2.5)}, tpot_ms=1234.5)
    base = side("a100", "baseline", ratio=1.0, missed={"tdp": 0.5, "price": math.nan})
    shown = comparison_table(Comparison("chat", "a100", (knee, base)))
    assert shown.title == "chat: designs and baselines, all chips together"
    assert shown.headings == ("", "unit", "knee", "a100") and shown.names == 2
    assert shown.cells[2:5] == (
        ("time per token", "ms", "1 234", "2"), ("- of such: P10-P90", "ms", "1.5-2.5", "not measured"),
        ("time to first token", "ms", "3", "3"),
    )  # fmt: skip
    assert shown.cells[-1] == ("of the step above its bound", "%", "25", "25")
    # A stretch that says nothing on every side is not shown; one that does anywhere is, to a thousandth.
    assert not any("held to" in row[0] for row in shown.cells) and len(shown.cells) == len(MEASURES) - 2 + 1
    for stretch, there in ((1.0005, False), (1.002, True), (0.998, True)):
        told = comparison_table(Comparison("chat", "a100", (side("knee", decode_cap_stretch=stretch), base)))
        assert any(row[0] == "decode held to its design limit" for row in told.cells) == there
    both = comparison_table(Comparison("chat", "a100", (knee, base)), with_ratios=True)
    assert both.title == "chat: designs and baselines, all chips together (in brackets: over that of a100)"
    assert both.cells[2] == ("time per token", "ms", "1 234 (2.5x)", "2") and both.cells[0][2:] == ("0", "0")
    alone = Comparison("chat", None, (side("knee"),))
    assert comparison_table(alone, with_ratios=True).title == "chat: designs and baselines, all chips together"
    assert comparison_table(alone, with_ratios=True).cells[2] == ("time per token", "ms", "2")
    assert what_they_are(Comparison("chat", "a100", (knee, base))) == [
        "knee: what knee is", "a100: what a100 is; misses tdp by 50 %, price",
    ]  # fmt: skip


def test_ratios_and_the_parts_of_a_comparison():
    compared = Comparison("chat", "a100", (side("knee", ratio=2.5), side("a100", "baseline", ratio=1.0)))
    ratios = ratio_table(compared)
    assert ratios.title == "chat: value over that of a100" and ratios.headings == ("", "knee")
    assert ("time per token", "2.5x") in ratios.cells and ("price", "2.5x") in ratios.cells
    assert len(ratios.cells) == sum(measure.in_ratio for measure in MEASURES)
    alone = Comparison("live", "a100", (side("knee"), side("a100", ratio=1.0)))
    assert ratio_table(alone) is None
    titles = [getattr(part, "title", "words") for part in comparison_parts([compared, alone])]
    whole = "{}: designs and baselines, all chips together"
    assert titles == [whole.format("chat"), "chat: value over that of a100", whole.format("live"), "words"]
    first, _, words = comparison_parts([compared, alone], short=True)
    assert first.title.endswith("(in brackets: over that of a100)") and words.lines == what_they_are(compared)
    assert comparison_parts([]) == []
    headings, rows = comparison_rows([compared, alone])
    assert headings[:6] == ["workload", "name", "kind", "what", "chips", "batch"]
    assert headings[4 + len(MEASURES) - 1] == "overhead_fraction [1]" and headings[-1].endswith(" over a100")
    assert [row[:3] for row in rows] == [
        ["chat", "knee", "design"], ["chat", "a100", "baseline"], ["live", "knee", "design"],
        ["live", "a100", "design"],
    ]  # fmt: skip
    assert len(headings) == len(rows[0]) and rows[0][4:6] == [0.0, 1.0] and rows[0][-1] == 2.5
    assert comparison_rows([])[1] == [] and comparison_rows([])[0][-1].endswith(" over None")


# -- curves, fleets, prices ------------------------------------------------------------------------------------------


def point(batch, within=True):
    rates = {name: batch * (k + 1.0) for k, name in enumerate(RATES)}
    metrics = {name: batch * 10.0 + k for k, name in enumerate(COLUMNS)} | {
        "tokens_per_s_per_usd": rates["tokens_per_s_per_usd"]
    }
    return CurvePoint(batch, 1000.0 / batch, rates, metrics, within)


def test_a_curve_at_powers_of_two_and_at_the_largest_batch_within_limits():
    points = tuple(point(batch, batch <= 6) for batch in range(1, 10))
    curve = Curve("knee", "chat", 1, False, points, 6, 500.0, None)
    table = curve_table(curve)
    assert table.title == (
        "knee on chat: throughput against speed per user; largest batch on the curve with TTFT <= 500 ms: 6"
    )
    assert [row[0] for row in table.cells] == ["1", "2", "4", "6", "8"]
    assert table.cells[2] == ("4", "250", "4", "8", "12", "40", "43", "48", "yes") and table.cells[4][-1] == "no"
    both = curve_table(Curve("knee", "chat", 1, False, points[:1], 1, 500.0, 20.0))
    assert both.title.endswith("with TTFT <= 500 ms, TPOT <= 20 ms: 1") and len(both.cells) == 1
    free = curve_table(Curve("knee", "chat", 1, False, points[:3], 0, None, None))
    assert free.title == "knee on chat: throughput against speed per user"
    headings, rows = curve_rows([curve, Curve("a100", "chat", 1, True, points[:1], 1, None, None)])
    assert headings[:6] == ("machine", "workload", "batch", "user_tokens_per_s", "tokens_per_s_per_chip",
                            "tokens_per_s_per_kw")  # fmt: skip
    assert headings[6:] == (*COLUMNS, "within_limits") and len(rows) == 10
    assert rows[1][:6] == ("knee", "chat", 2, 500.0, 2.0, 4.0) and rows[9][:3] == ("a100", "chat", 1)


def test_fleets_of_every_workload():
    class Bought(FleetRow):
        def amounts(self, krw_per_usd):
            return {"boards": 8.0, "price_krw": None if self.fleet is None else 1000.0 * krw_per_usd}

    rows = [Bought("knee", "chat", 2, 1.0, "some", 500.0), Bought("a100", "chat", 2, 1.0, None),
            Bought("knee", "live", 2, 1.0, "some")]  # fmt: skip
    first, second, notes = fleet_parts(rows, "100 token/s", 1400.0)
    assert (first.title, second.title) == ("chat: fleets for 100 token/s", "live: fleets for 100 token/s")
    assert first.cells == (("knee", "8", "1 400 000"), ("a100", "8", "n/a")) and second.cells == (
        ("knee", "8", "1 400 000"),
    )
    assert notes.lines[0].startswith("1 400 KRW per USD;") and len(notes.lines) == 3
    assert notes.lines[2] == (
        "knee: prices spread NRE over all boards sold; where this fleet alone carries it, its boards cost 500 USD"
    )


def test_prices_in_words():
    terms = sweep().economics
    assert price_words({}, terms) == "Price not published"
    assert price_words({"price_usd": 1700.0}, terms) == "Price 1 700 USD"
    assert price_words({"cost_usd": 600.0, "price_usd": 1700.0}, terms) == (
        "Costs 600 USD, price 1 700 USD: 250 USD of NRE (masks and 25 % of the design's, 1 000 boards), margin 50 %"
    )


# -- the rest ---------------------------------------------------------------------------------------------------------


def test_the_most_bandwidth_of_one_die():
    def row(grade, area):
        return DieBandwidth(grade, area, 12.0, "sides", 1000.0, 900.0, 1100.0, 850.0, 0.125)

    table, notes = bandwidth_parts([row("hbm3", 400.0), row("hbm3", 800.0), row("hbm4", 400.0), row("hbm3", 400.0)])
    assert [row[0] for row in table.cells] == ["hbm3", "", "hbm4", "hbm3"] and len(notes.lines) == 3
    assert table.cells[1] == ("", "800", "12", "sides", "1 000", "900", "1 100", "850", "12.5")


def test_differences_between_runs_shortened():
    runs = [Path("a"), Path("b")]
    head, same = difference_parts(runs, [])
    assert (head.heading, head.lines) == ("Runs", ["first:  a", "second: b"])
    assert same.lines == ["the same sweep, library, versions, counts and front"]
    found = [Difference("sweep", "k" * 70, "x" * 60, "y" * 61), Difference("front", "id", "1", "")]
    head, table = difference_parts(runs, found)
    assert table.names == 4 and table.cells == (
        ("sweep", "k" * 70, "x" * 60, "y" * 60 + "..."), ("front", "id", "1", ""),
    )  # fmt: skip


def test_ends_that_cost_nothing():
    lunch = FreeLunch("macs", 1.0, 2.0, {"a": 0.1, "b": 0.5, "c": 0.25, "d": 0.125}, 3, 4, "at the foundry")
    other = FreeLunch("memory", "hbm4", "hbm3", {"a": 0.5}, 1, 1, "")
    head, table, reasons = exploit_parts(Exploits((lunch, other), ("x", "y"), 16), "small")
    assert (head.heading, head.lines) == ("small", [
        "every axis moved alone around 16 designs: 2 with an end that costs nothing in any metric",
        "moves no metric and no limit: x, y",
    ])  # fmt: skip
    assert table.names == 3 and table.cells == exploit_table(Exploits((lunch, other), (), 1)).cells == (
        ("macs", "1", "2", "3 of 4", "b 50 %, c 25 %, d 12.5 %"), ("memory", "hbm4", "hbm3", "1 of 1", "a 50 %"),
    )  # fmt: skip
    assert reasons.lines == ["macs: at the foundry"]
    (alone,) = exploit_parts(Exploits((), (), 1), "small")
    assert alone.lines == ["every axis moved alone around 1 designs: none ends for free"]


def test_closed_forms_beside_simulations():
    table = simulation_table(
        [SimulatedMetric("chat", "tpot_ms", 3.0, 2.0, 0.125), SimulatedMetric("chat", "b", 1.0, 2.0, 0.0)]
    )
    assert table.cells == (("chat", "tpot_ms", "3", "2", "0.125", "50"), ("chat", "b", "1", "2", "0", "-50"))


def test_what_formats_store():
    one = Compressed("xor", 0.5, 6.0, 2.0, 3.0, 0.1234, 12.0, True, 0.012345, 0.9876)
    other = Compressed("bf16", 0.0, 16.0, 0.0, 16.0, 1.0, 2.0, True, 0.0)
    assert codes_table([one, other]).cells == (
        ("xor", "50.00", "6.0000", "2.0000", "3.0000", "75.0", "98.76", "1.23", "0.12", "12"),
        ("bf16", "0.00", "16.0000", "0.0000", "16.0000", "100.0", "-", "0", "1", "2"),
    )  # fmt: skip
    weights = np.array([[1.0, 0.0, 2.0, 3.0], [0.0, 0.0, 4.0, 5.0]])
    refused = [NotApplicable("a", "why"), NotApplicable("b", "else"), NotApplicable("c", "why")]
    parts = compression_parts([one], refused, weights, "tensor", 2, None)
    assert parts[0].heading == "tensor, 2 x 4" and parts[0].lines == tensor_lines(weights, 2, None)
    assert len(parts) == 4 and parts[3].lines == ["a, c: why", "b: else"]
    assert len(compression_parts([one], [], weights, "tensor", 2, None)) == 3


def test_how_nonzeros_hang_together(monkeypatch):
    # Blocks of 2 hold 1, 2, 0 and 2 of 2: variance 11/12 over n p (1 - p) of 15/32 is 1.9556, less 1.
    weights = np.array([[1.0, 0.0, 2.0, 3.0], [0.0, 0.0, 4.0, 5.0]])
    assert tensor_lines(weights, 2, None) == [
        "37.5 % of the weights are 0 before pruning", "correlation of nonzeros in blocks of 2: 0.956",
    ]  # fmt: skip
    # Without the smallest half 3, 4 and 5 and 2 are left: 0, 2, 0, 2: as alike as can be, 4/3 over 1/2 less 1.
    assert tensor_lines(weights, 2, 0.5)[1] == "correlation of nonzeros in blocks of 2, 50 % pruned by magnitude: 1.67"
    # Of 8 weights two blocks of 3 are whole; of one block, or blocks of one weight, or all kept, nothing is known.
    assert tensor_lines(weights, 3, None)[1].startswith("correlation of nonzeros in blocks of 3: ")
    for block in (1, 5, 8, 9):
        assert len(tensor_lines(weights, block, None)) == 1
    assert len(tensor_lines(np.ones((2, 4)), 2, None)) == len(tensor_lines(np.zeros((2, 4)), 2, None)) == 1
    assert len(tensor_lines(weights, 4, None)) == 2
    monkeypatch.setattr("dse.render.terminal.compression.block_correlation", lambda blocks, block: 0.001234)
    assert tensor_lines(weights, 2, None)[1].endswith("blocks of 2: 0.0012")


# -- validate ---------------------------------------------------------------------------------------------------------


def scores(key="scores", title="Times", note="", index=("tpot", "ttft"), names=("quantity",), **columns):
    frame = pd.DataFrame(columns, index=pd.Index(list(index), name=names[0]) if names[0] else None)
    return ScoreTable(key, title, frame, note)


def test_scores_in_per_cent_by_their_columns():
    table = score_table(scores(
        n=np.array([12, 3400]), mdape=[0.125, math.nan], bias=[1.25, math.inf], some_error=[0.5, math.inf],
        worst_error_x=[0.5, 0.25], within_10=[0.75, 1.0], energy_mdape=[0.1, 0.2], what=["a", "b"], ok=[True, False],
    ))  # fmt: skip
    assert table.names == 1 and table.headings == (
        "quantity", "rows", "median\nerror %", "predicted over\nmeasured", "some error\n%", "worst error x",
        "within 10\n%", "median error\nof energy %", "what", "ok",
    )  # fmt: skip
    assert table.cells == (
        ("tpot", "12", "12.5", "1.25", "50", "0.5", "75", "10", "a", "True"),
        ("ttft", "3 400", "-", "inf", "inf", "0.25", "100", "20", "b", "False"),
    )  # fmt: skip
    plain = score_table(scores(index=(0, 1), names=(None,), chip=["a", "b"], error=[0.5, 0.25]))
    assert (plain.names, plain.headings, plain.cells) == (1, ("chip", "error\n%"), (("a", "50"), ("b", "25")))
    two = pd.DataFrame({"n": [1]}, index=pd.MultiIndex.from_tuples([("a", "b")], names=["chip", "stack"]))
    assert score_table(ScoreTable("k", "t", two)).names == 2


def test_the_headline_of_a_validation():
    def told(*tables):
        return [(getattr(part, "heading", None), *part.lines) if hasattr(part, "lines") else part.title
                for part in validation_parts(Validation({}, tables))]  # fmt: skip

    head = "How far predictions are off"
    scored = scores(n=[1, 2], mdape=[0.125, 0.25], note="a note")
    how, *both = told(scored, scores(title="Others", bias=[1.0, 2.0]))[1]
    assert told(scored, scores(title="Others", bias=[1.0, 2.0])) == [
        (head, "Times: tpot 12.5 %, ttft 25 %"), (how, *both), "Times", ("", "a note"), "Others", ("",),
    ]  # fmt: skip
    assert (how, len(both)) == ("How to read the tables", 2)
    for columns in ({"bias": [1.0, 2.0]}, {"rank": [1.0, 2.0]}, {"mdape": [1.0, 2.0]}):
        assert told(scores(**columns))[1][0] == how and told(scores(**columns))[0][1].startswith("no row could be")
    files = scores(key="files", title="Files", predicted=[2, 3])
    assert told(files) == [(head, "the tables say"), "Files", ("",)]
    assert told(scores(key="files", title="Files", predicted=[0, 0]))[0][1] == (
        "no row could be predicted: below is why"
    )
    assert told(scores(names=("chip",), n=[1, 2], mdape=[0.5, 0.5]))[0] == (
        head,
        "no row could be predicted: below is why",
    )

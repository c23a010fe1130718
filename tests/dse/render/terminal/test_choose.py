"""Which chip serves a workload: the answer, the ways, and how to read them, of ways made by hand."""

import math
from types import SimpleNamespace

from dse.analysis.choose import Chosen, Way
from dse.render.terminal.choose import choice_parts, choice_rows, ways_table
from tests.dse.render.terminal.made import limit, sweep, workload

SETUP = SimpleNamespace(format_words="fp8", kv_bits=8.0, act_bits=8.0, chip="a100_80gb_sxm", weight_format="fp8")
VALUES = {
    "chat.usd_per_million_tokens": 0.5, "chat.tpot_ms": 8.0, "chat.ttft_ms": 1500.0, "tdp_w": 800.0,
    "price_usd": 30000.0, "chat.usd_per_hour": 3.5,
}  # fmt: skip


def way(name, chips=2, missed=None, front=False, **values):
    return Way(name, chips, "tensor", SETUP, {**VALUES, **values}, missed or {}, front)


def chosen(*ways, left_out=(), **changes):
    spec = sweep(**{"workloads": {"chat": workload()}, "constraints": [limit("chat.ttft_ms <= 2000")], **changes})
    return Chosen(spec, "chat.usd_per_million_tokens", "chat.tpot_ms", ways, dict(left_out))


ASKED = "chat: llama3_8b, batch 16, 512 tokens in, 256 out; chat.ttft_ms <= 2000 ms"


def answer(found, top=9, **options):
    return list(choice_parts(found, top, **options)[0].lines)


def test_yes_says_which_is_first_and_of_how_many():
    first, second = way("a100", front=True), way("a100", chips=1, front=True, **{"chat.tpot_ms": 9.0})
    slow = way("l4", missed={"chat.ttft_ms <= 2000": 0.25})
    lines = answer(chosen(first, second, slow, left_out={"x": "no rates", "y": "no rates"}))
    assert lines == [
        "YES: 1 of 4 chips serves it within the limits, in 2 ways.", ASKED,
        "First by chat.usd_per_million_tokens: a100 (2x, fp8, KV 8, act 8, tensor): chat.usd_per_million_tokens 0.5 "
        "USD, chat.tpot_ms 8 ms, first token after 1.5 s.",
    ]  # fmt: skip
    lines = answer(chosen(first, way("h100")))
    assert lines[0] == "YES: 2 of 2 chips serve it within the limits, in 2 ways."
    assert answer(chosen(first))[0] == "YES: 1 of 1 chip serves it within the limits, in 1 way."
    # A workload that was given as a model has no name of its own; without limits none are told.
    named = chosen(first, constraints=[], workloads={"llama3_8b": workload(), "chat": workload(n_chips=2)})
    assert answer(named)[1] == (
        "llama3_8b, batch 16, 512 tokens in, 256 out; "
        "chat: llama3_8b, batch 16, 512 tokens in, 256 out, 2 chips (tensor)"
    )
    assert answer(named)[2].endswith("first token after n/a ms.")


def test_no_says_what_the_nearest_misses():
    near = way("a100", missed={"chat.ttft_ms <= 2000": 0.25, "price_usd <= 5": math.inf})
    assert answer(chosen(near, way("l4", missed={"tdp_w <= 1": 5.0}))) == [
        "NO: none of 2 ways to serve it meets every limit.", ASKED,
        "The nearest, a100 (2x, fp8, KV 8, act 8, tensor), misses chat.ttft_ms <= 2000 by 25 %, price_usd <= 5 "
        "(no value).",
    ]  # fmt: skip
    assert answer(chosen()) == ["NO: none of 0 ways to serve it meets every limit.", ASKED]


def test_ways_a_row_each():
    ways = [way("a100", front=True), way("l4", chips=1, **{"chat.decode_w": 90.0})]
    table = ways_table(chosen(*ways), ways)
    assert table.title == "By chat.usd_per_million_tokens, the best first; power, TDP and price of all chips of a row"
    assert table.names == 1 and table.headings[:3] == ("chip", "how", "")
    # The rank first, then limits, then what is usual; what no way has is left out.
    assert ["".join(heading.split("\n")) for heading in table.headings[3:]] == [
        "usd_per_million_tokensUSD", "ttft_msms", "tpot_msms", "tdp_wallW", "price_usdallUSD", "usd_per_hourUSD/h",
    ]  # fmt: skip
    assert table.cells == (
        ("a100", "2x, fp8, KV 8, act 8, tensor", "front", "0.5", "1 500", "8", "800", "30 000", "3.5"),
        ("l4", "1x, fp8, KV 8, act 8", "", "0.5", "1 500", "8", "800", "30 000", "3.5"),
    )
    missing = [*ways, way("a100", missed={"tdp_w <= 1": 0.5})]
    table = ways_table(chosen(*missing), missing)
    assert table.names == 2 and table.headings[-1] == "misses"
    assert [row[-1] for row in table.cells] == ["", "", "tdp_w <= 1 by 50 %"]
    both = {"chat": workload(), "live": workload()}
    assert ways_table(chosen(*ways, workloads=both), ways).headings[5] == "chat.tpot_ms\nms"
    none = ways_table(chosen(), [])
    assert none.cells == () and len(none.headings) == 3 + 9


def test_which_ways_are_listed_and_how_to_read_them():
    ways = [way("a100"), way("a100", chips=4), way("l4", price_usd=math.nan), way("h100", price_usd=math.nan)]
    found = chosen(*ways, left_out={name: f"why {name}" for name in "vwxyz"})
    head, table, notes = choice_parts(found, 2)
    assert (head.heading, notes.heading) == ("Which chip", "How to read it")
    assert [row[0] for row in table.cells] == ["a100", "l4"]
    assert notes.lines[2:4] == [
        "1 more rows: --top 3; every count, format and split: --every",
        "n/a: 2 of these chips have no published price; they come last by price and cost",
    ]
    assert notes.lines[5] == "left out: v, w, x, y and 1 more: why v"
    assert notes.lines[6].startswith("--rank takes price (price_usd), cost (usd_per_million_tokens), ")
    assert [row[0] for row in choice_parts(found, 9, every=True)[1].cells] == ["a100", "a100", "l4", "h100"]
    one = chosen(ways[0], ways[2], left_out={name: f"why {name}" for name in "vwxy"})
    lines = choice_parts(one, 2)[2].lines
    assert lines[2] == "n/a: 1 of these chips has no published price; it comes last by price and cost"
    assert lines[4] == "left out: v, w, x, y: why v" and len(lines) == 6
    assert len(choice_parts(chosen(ways[0]), 1)[2].lines) == 4


def test_every_way_as_a_sheet():
    headings, rows = choice_rows(chosen(way("a100", front=True), way("l4", missed={"x": 1.0}, other=1.0)))
    assert headings[:9] == (
        "name", "chip", "chips", "parallelism", "weight_format", "kv_bits", "act_bits", "meets_limits", "on_front",
    )  # fmt: skip
    assert headings[9:] == tuple(VALUES)
    assert rows[0] == ["a100", "a100_80gb_sxm", 2, "tensor", "fp8", 8.0, 8.0, True, True, *VALUES.values()]
    assert rows[1][7:9] == [False, False] and choice_rows(chosen()) == (headings[:9], [])

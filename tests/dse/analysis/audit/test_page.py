"""The page of an audit, word for word, on claims and sets that are made up."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dse.analysis.audit import Audit
from dse.analysis.audit import page as paging
from dse.analysis.audit.consistent import InformationGain, ValueRange, number
from dse.analysis.audit.page import (
    claimed_words,
    finding_words,
    joint_words,
    page,
    question_words,
    rates_words,
    settling_words,
    source_table,
    table,
    verdict_table,
)
from dse.analysis.audit.records import RatesSubject
from dse.analysis.audit.verdicts import ClaimResult


def claim(metric="chat.tpot_ms", of="gpus", value=40.0, key="fast", **changed):
    bounds = {"near": None, "max": None, "min": None, **changed.pop("asks", {"near": value})}
    usual = {"relative_to": None, "question": "", "reading": "", "source": "a slide", "grade": "low", "note": "-"}
    return SimpleNamespace(
        metric=metric, of=of, value=value, key=key, asks=SimpleNamespace(**bounds), **{**usual, **changed}
    )


def verdict(finding="consistent", factor=1.0, low=30.0, high=50.0, bound=math.nan, why="", **changed):
    return ClaimResult(claim(**changed), finding, 35.0, low, high, bound, factor, why)


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "-"), (math.inf, "any"), (-math.inf, "any"), (999.96, "1000"), (1000, "1 000"),
     (-1234567.8, "-1 234 568"), (0.0123449, "0.01234"), (12.3456, "12.35"), (0, "0")],
)  # fmt: skip
def test_numbers_have_four_digits(value, text):
    assert number(value) == text
    assert number(1.23456, 3) == "1.23"


def test_a_table_is_rows_between_bars():
    assert table(("a", "b"), [("1", "2"), ("3", "4")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"


@pytest.mark.parametrize(
    ("asks", "changed", "words"),
    [
        ({"near": 1.0}, {}, "40 ms"),
        ({"max": 1.0}, {}, "<= 40 ms"),
        ({"min": 1.0}, {}, ">= 40 ms"),
        ({"min": 1.0}, {"relative_to": "pair"}, ">= 40x pair"),
        ({"near": 1.0}, {"metric": "chat.perplexity_ratio"}, "40"),
        ({"max": 1.0}, {"metric": "tdp_w", "value": 1500.0}, "<= 1 500 W"),
    ],
)
def test_what_is_claimed(asks, changed, words):
    assert claimed_words(SimpleNamespace(claim=claim(asks=asks, **changed))) == words


def test_verdicts_are_rows_with_their_interval_and_bound():
    rows = verdict_table([
        verdict(bound=20.0), verdict("not comparable", math.nan, math.nan, math.nan, why="no price", metric="tdp_w"),
        verdict("optimistic", 1.2345),
    ]).splitlines()  # fmt: skip
    assert rows == [
        "| machine | metric | claimed | predicted | 90 % interval | bound | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| gpus | chat.tpot_ms | 40 ms | 35 | 30 to 50 | 20 | consistent |",
        "| gpus | tdp_w | 40 W | 35 | - | - | not comparable: no price |",
        "| gpus | chat.tpot_ms | 40 ms | 35 | 30 to 50 | - | optimistic by 1.23x |",
    ]
    assert finding_words(verdict("impossible", 1.2345)) == "impossible: beats the bound by 1.23x"


def test_of_several_readings_the_nearest_that_can_be_is_named():
    assert question_words([verdict(), verdict("optimistic", 2.0)]) == []
    some = [
        verdict("impossible", 1.1, question="what", reading="one", of="a"),
        verdict("optimistic", 3.0, question="what", reading="two", of="b"),
        verdict("pessimistic", 2.0, question="what", reading="three", of="c"),
        verdict("not comparable", math.nan, question="what", reading="four"),
        verdict("not comparable", math.nan, question="nothing", reading="five"),
        verdict("impossible", 1.5, question="which", reading="six", of="d"),
        verdict(),
    ]
    assert question_words(some) == [
        "## what: which reading is sensible",
        "- one (a): impossible: beats the bound by 1.1x\n- two (b): optimistic by 3x\n- three (c): pessimistic by 2x",
        "Nearest to the prediction: three (c, pessimistic by 2x).",
        "## which: which reading is sensible",
        "- six (d): impossible: beats the bound by 1.5x",
        "Nearest to the prediction: six (d, impossible: beats the bound by 1.5x).",
    ]


def case(*claims, subjects=None):
    return SimpleNamespace(
        name="mine", claims=claims, subjects=subjects or {}, of=lambda name: [one for one in claims if one.of == name]
    )


def test_sources_are_told_once_of_each_claim():
    some = case(claim(key="fast, chat"), claim(key="fast, code", source="other"), claim(key="cool", grade="high"))
    assert source_table(some).splitlines()[2:] == ["| fast | a slide | low | - |", "| cool | a slide | high | - |"]


GAINS = [InformationGain(name, left) for name, left in (("a", 0.1), ("b", 0.25), ("c", 0.5), ("d", 0.75), ("e", 1.0))]
SETTLING = (
    "One further fact would help most if it were a. Share of the spread of all else that is left once a fact is known: "
    "a (10 %), b (25 %), c (50 %), d (75 %)."
)


def test_the_first_facts_are_told():
    assert settling_words(GAINS) == SETTLING and settling_words([]) == "Nothing is left open."


def joint(found=2, why=None, plausible=()):
    extents = (ValueRange("macs", 1.0, 2.0, ()), ValueRange("memory", math.nan, math.nan, (("hbm3", 1.0),)))
    return SimpleNamespace(
        subject="secret", found=found, searched=1200, why_none=why, extents=extents, plausible=plausible, settling=GAINS
    )


def test_an_empty_set_says_what_must_give():
    none = "None of 1 200 designs satisfies every claim."
    gives = [SimpleNamespace(constraint="a <= 1", new_bound=1.5), SimpleNamespace(constraint="b >= 2", new_bound=1.25)]
    why = SimpleNamespace(smallest=SimpleNamespace(gives=gives))
    assert joint_words(joint(0, why)) == [none, "The least that must give: a <= 1 to 1.5 and b >= 2 to 1.25."]
    assert joint_words(joint(0)) == joint_words(joint(0, SimpleNamespace(smallest=None))) == [none]


def test_a_set_is_its_extents_its_least_strained_and_what_would_settle_it():
    names = ["id", "spare", *"abcdefghij"]
    plausible = [dict(zip(names, [7, 0.25, *range(9), 99], strict=True)), {"id": 8, "spare": 0.5, "a": "x", "b": 1.5}]
    first, extents, heading, rows, last = joint_words(joint(plausible=plausible))
    assert first == "2 of 1 200 designs satisfy every claim at once." and last == SETTLING
    assert extents.splitlines()[2:] == ["| macs | 1 to 2 |", "| memory | hbm3 (100 %) |"]
    assert heading.startswith("The least strained of each memory and format")
    # Nine quantities are shown, and what a design does not have is a dash.
    assert rows.splitlines() == [
        "| a | b | c | d | e | f | g | h | i | spare |", "|" + " --- |" * 10,
        "| 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 25 % |", "| x | 1.5 | - | - | - | - | - | - | - | 50 % |",
    ]  # fmt: skip


# -- rates -----------------------------------------------------------------------------------------------------------

RATES = pd.DataFrame({
    "weight_bits": [2.0, 2.0, 2.25, 4.0, 4.0], "kv_bits": [4.0, 6.0, 9.0, 8.0, 16.0],
    "tflops": [100.0, 200.0, 100.0, 100.0, 300.0], "gbps_low": [200.0, 220.0, 225.0, 480.0, 900.0],
    "gbps_high": [400.0, 300.0, 450.0, 500.0, np.inf], "capacity_gib": [20.0, 21.0, 22.0, 40.0, 48.0],
    "memory_bound": [True, True, True, True, False],
})  # fmt: skip
SUBJECT = RatesSubject("rates", {}, "ideal", "step", None)


@pytest.fixture
def free(monkeypatch):
    """What weights of no bits would need, in place of solving for it."""
    asked = []

    def free(*rows):
        frame = pd.DataFrame(rows, columns=["gbps_low", "consistent"])
        monkeypatch.setattr(paging, "consistent_rates", lambda *given: asked.append(given) or (frame, []))
        return asked

    return free


def rates(frame, settling=GAINS):
    return SimpleNamespace(subject="rates", searched=6000, table=frame, settling=settling)


def words(frame):
    return rates_words(case(claim(of="rates"), subjects={"rates": SUBJECT}), rates(frame))


def test_rates_are_told_by_their_ratios_and_a_line_for_every_half_bit(free):
    asked = free((700.0, True), (650.0, True), (10.0, False))
    first, line, lines, wide, wider, last = words(RATES)
    assert first == "5 of 6 000 combinations of bits and arithmetic satisfy every claim."
    # Of the four that wait for memory KV bits are 2, 3, 4 and 2 times the weight bits; 100 to 200 GB/s go with a bit.
    assert line == (
        "While every step waits for memory alone: KV bits 2 to 4 times the weight bits (median 2.5), and 100 to "
        "200 GB/s delivered per bit of weight (median 140); KV cache of 4 to 9 bits."
    )
    assert lines.splitlines()[0] == "| weight bits | KV bits | delivered GB/s | TFLOP/s | memory GiB |"
    assert lines.splitlines()[2:] == [
        "| 2 | 4 to 6 | 200 to 400 | 100 and more | 20 to 21 |",
        "| 4 | 8 to 8 | 480 to 500 | 100 and more | 40 to 40 |",
    ]  # fmt: skip
    assert wide == "A 16-bit KV cache is excluded while every step waits for memory alone."
    assert wider == (
        "With a 16-bit KV cache the claims need at least 900 GB/s delivered (4-bit weights, 300 TFLOP/s), "
        "900 GB/s with 4-bit weights, and 650 GB/s if the weights took no room at all."
    )
    assert last == SETTLING
    ((subject, claims, weights, cache, tflops),) = asked
    assert subject is SUBJECT and [one.of for one in claims] == ["rates"]
    assert (weights.tolist(), cache.tolist(), tflops.tolist()) == ([1e-6], [16.0], [300.0])


def test_what_a_wide_cache_takes_depends_on_what_is_there(free):
    free((700.0, False))
    wide = RATES.assign(kv_bits=16.0, weight_bits=3.0)
    found = words(wide)
    assert not any("excluded" in one for one in found)
    assert (
        found[-2] == "With a 16-bit KV cache the claims need at least 200 GB/s delivered (3-bit weights, 100 TFLOP/s)."
    )
    assert words(RATES[:4])[-2] == "A 16-bit KV cache satisfies the claims in no combination."
    # Where nothing waits for memory alone there is no line.
    assert len(words(RATES.assign(memory_bound=False)[:4])) == 3
    assert words(RATES[:0]) == ["None of 6 000 combinations of bits and arithmetic satisfies every claim."]


def test_ratios_have_three_digits_and_a_cache_of_nearly_16_bits_is_none(free):
    row = RATES[:1].assign(weight_bits=2.5, kv_bits=8.123, gbps_low=1000.9, gbps_high=2000.9)
    _, line, lines, wide, _ = words(row)
    assert line == (
        "While every step waits for memory alone: KV bits 3.25 to 3.25 times the weight bits (median 3.25), and 400 to "
        "800 GB/s delivered per bit of weight (median 600); KV cache of 8.12 to 8.12 bits."
    )
    assert lines.splitlines()[2:] == ["| 2.5 | 8.12 to 8.12 | 1 001 to 2 001 | 100 and more | 20 to 20 |"]
    assert wide == words(row.assign(kv_bits=15.9))[-2] == "A 16-bit KV cache satisfies the claims in no combination."


def test_the_page_has_a_part_for_everything(free):
    free((700.0, True))
    some = case(claim(of="rates"), subjects={"rates": SUBJECT})
    verdicts = (verdict(), verdict("optimistic", 2.0, question="what", reading="one"), verdict("optimistic", 3.0))
    text = page(Audit(some, verdicts, (joint(0),), (rates(RATES),)))
    assert text.startswith(
        "# Audit: mine\n\n3 claims about known machines: 1 consistent, 2 optimistic.\n\n## rates: the rates"
    )
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Audit: mine", "## rates: the rates that satisfy every claim",
        "## secret: the designs that satisfy every claim",
        "## Known machines", "## what: which reading is sensible", "## Claims and their sources",
    ]  # fmt: skip
    assert text.endswith("| fast | a slide | low | - |\n")
    none = page(Audit(some, (), (), ()))
    assert "## Known machines" not in none and "0 claims about known machines" in none

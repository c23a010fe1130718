"""An audit of claims in tables and words, of one made by hand."""

import math
from types import SimpleNamespace

from dse.analysis.audit.records import ChipSubject, DesignSubject, RatesSubject, SpaceSubject
from dse.render.terminal import audit
from dse.render.terminal.audit import audit_parts, verdict_rows, verdicts_table
from tests.dse.render.terminal.made import sweep

SUBJECTS = {
    "a100": ChipSubject("a100", SimpleNamespace(words="8x a100")),
    "made": DesignSubject("made", None, {"macs": 8192, "kv_bits": None, "node": "n"}),
    "dark": SpaceSubject("dark", sweep()), "rates": RatesSubject("rates", {}, "s", "step", None),
}  # fmt: skip


def claim(of, source):
    asks = SimpleNamespace(near=None, max=40.0, min=None)
    return SimpleNamespace(
        key=f"{of} claims", of=of, source=source, metric="chat.tpot_ms", relative_to=None, asks=asks, value=40.0,
        grade="high",
    )  # fmt: skip


def result(of, finding, low=7.0):
    return SimpleNamespace(
        claim=claim(of, "x"), predicted=8.0, low=low, high=9.5, bound=6.0, finding=finding, factor=1.5, why="why",
    )  # fmt: skip


def whole(**changes):
    claims = (claim("a100", "x"), claim("made", "y"), claim("dark", "x"))
    case = SimpleNamespace(name="Case", claims=claims, subjects=SUBJECTS, spec=sweep())
    return SimpleNamespace(**{"case": case, "verdicts": (), "spaces": (), "rates": (), **changes})


def test_whose_claims_they_are_and_what_became_of_them():
    about, subjects = audit_parts(whole())
    counted = "3 claims of 2 sources about 4 machines; --out writes every claim with its source"
    assert (about.heading, about.lines) == ("Case: published claims against the model", [counted])
    assert subjects.lines == [
        "a100: 8x a100", "made: one design: macs 8 192, node n",
        "dark: a design that is not known, searched in a space of 3 parameters",
        "rates: a machine of which only rates and bits are asked: which of them satisfy the claims at once",
    ]  # fmt: skip
    verdicts = (result("a100", "consistent"), result("made", "optimistic"), result("made", "optimistic", math.nan))
    about, _, table = audit_parts(whole(verdicts=verdicts))
    assert about.lines == [counted, "of 3 claims about known machines: 2 optimistic, 1 consistent"]
    assert table.names == 2 and table.cells == verdicts_table(whole(verdicts=verdicts)).cells == (
        ("a100", "chat.tpot_ms", "<= 40 ms", "8", "7 to 9.5", "consistent"),
        ("made", "chat.tpot_ms", "<= 40 ms", "8", "7 to 9.5", "optimistic by 1.5x"),
        ("made", "chat.tpot_ms", "<= 40 ms", "8", "n/a to 9.5", "optimistic by 1.5x"),
    )  # fmt: skip
    headings, rows = verdict_rows(whole(verdicts=verdicts))
    assert headings[:3] == ("claim", "of", "metric") and rows[1][:3] == ["made claims", "made", "chat.tpot_ms"]


def test_what_unknown_machines_could_be(monkeypatch):
    monkeypatch.setattr(audit, "rates_words", lambda case, rates: ["first", "| a | table |", "last"])
    monkeypatch.setattr(audit, "settling_words", lambda settling: f"settled by {settling}")
    monkeypatch.setattr(audit, "explanation_parts", lambda why, spec: [f"why {why}"])

    def joint(found, why_none):
        extents = [SimpleNamespace(name="macs", text="1 to 2")]
        return SimpleNamespace(
            subject="dark", found=found, searched=4096, extents=extents, why_none=why_none, settling="tdp"
        )

    _, _, rates, *parts = audit_parts(whole(
        rates=(SimpleNamespace(subject="rates"),), spaces=(joint(12, None), joint(0, "none"), joint(0, None))
    ))  # fmt: skip
    assert (rates.heading, rates.lines) == ("rates: rates that satisfy every claim", ["first", "last"])
    some, settled, none, why, still = parts
    assert some.title == "dark: 12 of 4 096 designs satisfy every claim" and some.names == 2
    assert some.cells == (("macs", "1 to 2"),) and settled.lines == ["settled by tdp"]
    assert none.title == still.title == "dark: 0 of 4 096 designs satisfy every claim" and why == "why none"

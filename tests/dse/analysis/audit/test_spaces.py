"""Designs that satisfy all claims, of runs that are made up."""

from types import SimpleNamespace

import pandas as pd
import pytest

from dse.analysis.audit import spaces
from dse.analysis.audit.spaces import METRICS, SHOWN, _least_strained, claimed_beside, joint_set

SPEC = SimpleNamespace(
    constraints=[SimpleNamespace(metric=name) for name in ("code.tpot_ms", "tdp_w", "chat.ttft_ms", "code.ttft_ms")]
)


def test_power_and_quality_of_claimed_workloads_are_told_too():
    assert claimed_beside(SPEC) == ["chat.decode_w", "chat.perplexity_ratio", "code.decode_w", "code.perplexity_ratio"]


def made(rows=8):
    table = pd.DataFrame({
        "id": range(rows), "memory": ["a", "b"] * (rows // 2), "weight_format": ["x"] * 4 + ["y"] * (rows - 4),
        "macs": [float(row) for row in range(rows)], "feasible": [row != 0 for row in range(rows)],
        "margin reticle_mm2": [0.9] * rows, "margin heat_w_per_mm2": [0.1, 0.2, 0.3, 0.3, 0.5, 0.4, 0.4, 0.4],
        "margin tdp_w <= 3": [0.0] * rows,
    })  # fmt: skip
    return table.assign(**{name: 1.0 for name in (*METRICS, *claimed_beside(SPEC))})


def test_the_least_strained_of_each_memory_and_format_come_first():
    found = _least_strained(made(), ["macs"])
    # Of equal ones the first; reticle and heat count, the claim does not.
    assert found == [
        {"id": 4, "spare": 0.5, "macs": 4.0},
        {"id": 5, "spare": 0.4, "macs": 5.0}, {"id": 2, "spare": 0.3, "macs": 2.0},
        {"id": 3, "spare": 0.3, "macs": 3.0},
    ]  # fmt: skip
    alone = _least_strained(made().drop(columns=["memory", "weight_format"]), ["macs"])
    assert [one["id"] for one in alone] == [4, 5, 6, 7, 2] and len(alone) == SHOWN


@pytest.fixture
def explored(monkeypatch):
    def explored(table):
        sample = None if table is None else SimpleNamespace(frame=lambda: table)
        outcome = SimpleNamespace(sample=sample, evaluated=99, feasible=7)
        monkeypatch.setattr(spaces, "explore", lambda spec: outcome)
        monkeypatch.setattr(spaces, "Space", lambda spec: SimpleNamespace(dimensions=("memory", "macs")))
        monkeypatch.setattr(spaces, "explain_infeasible", lambda spec: "why")
        return SimpleNamespace(name="secret", spec=SPEC)

    return explored


def test_a_set_is_its_feasible_designs(explored):
    found = joint_set(explored(made()))
    assert (found.subject, found.searched, found.found, found.why_none) == ("secret", 99, 7, None)
    assert found.table["id"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    named = ["memory", "macs", *METRICS, *claimed_beside(SPEC)]
    assert list(found.table) == ["id", *named] and [one.name for one in found.extents] == named
    assert (found.extents[1].low, found.extents[1].high) == (1, 7)
    assert {one.name for one in found.settling} == {"memory", "macs"} and found.plausible[0]["id"] == 4


@pytest.mark.parametrize("table", [None, made()[:0], made().assign(feasible=False)])
def test_an_empty_set_says_why_unless_nobody_asks(explored, table):
    subject = explored(table)
    found = joint_set(subject)
    assert (found.searched, found.found, found.extents, found.why_none) == (99, 0, (), "why") and not len(found.table)
    assert joint_set(subject, explain=False).why_none is None

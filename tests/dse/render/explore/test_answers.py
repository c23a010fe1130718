"""Parts of the answers of a page, each with stand-ins for what it reads."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cost_models.quantities.parameters import PARAMETERS
from dse.errors import RunError
from dse.render.explore import answers
from dse.render.explore.answers import Answers
from dse.sweep import parse_spec
from tests.sweeps import tiny

SPEC = parse_spec(
    tiny(
        space={
            **tiny()["space"],
            "kv_bits": 8,
            "macs": {"values": [64]},
            "sram_mib": {"low": 1, "high": 9, "levels": 3},
        }
    )
)


def made(**parts):
    """Answers with some of their parts."""
    one = Answers.__new__(Answers)
    one.__dict__.update(parts)
    return one


def test_a_place_counts_who_is_as_good_in_everything_and_better_in_one():
    front = np.array([(1, 2), (2, 2), (2, 1), (1, 1), (3, 1), (1, 3.0)])
    for own, feasible, beaten_by in (
        ((2, 2), True, 3),
        ((1, 1), True, 0),
        ((0, 9), False, 0),
        ((math.nan, 1), False, None),
    ):
        found = SimpleNamespace(objectives=np.array([own, (9, 9)]), feasible=[feasible])
        assert made(_front=front)._place(found) == {"feasible": feasible, "beaten_by": beaten_by}


def test_what_the_library_decides_is_left_to_it_unless_the_sweep_says_it():
    decided, default = (
        next(name for name, one in PARAMETERS.items() if (one.default is None) is none and name not in SPEC.space)
        for none in (True, False)
    )
    given = {"macs": 1, decided: 2, default: 3, "chat.batch": 4}
    assert made(_spec=SPEC)._own(given) == {"macs": 1, default: 3, "chat.batch": 4}
    assert made(_spec=SimpleNamespace(space={decided: ()}))._own({decided: 2}) == {decided: 2}


def test_a_slider_spans_what_the_sweep_tries():
    for name, span in {
        "memory_devices": (2, 16), "memory_device_gib": (2, 24), "sram_mib": (1, 9), "kv_bits": (None, None),
        "macs": (None, None), "memory": (None, None), "dies": (None, None),
    }.items():  # fmt: skip
        assert answers._span(SPEC, name) == span
    assert answers._parameter("technology.tco.pue") is None and answers._parameter("macs") is PARAMETERS["macs"]
    numbers = answers._numbers_of(SPEC.workloads["chat"])
    assert (numbers["batch"], numbers["prompt_tokens"], numbers["output_tokens"]) == (16, 512, 256)
    assert all(isinstance(value, int | float) for value in numbers.values())


def test_a_run_that_evaluated_nothing_has_nothing_to_explore():
    run = SimpleNamespace(manifest={"counts": {"evaluated": 0}}, path="here")
    with pytest.raises(RunError, match="evaluated no design"):
        Answers(run)


def test_a_front_is_signed_so_that_less_is_better(monkeypatch):
    monkeypatch.setattr(answers, "Evaluator", lambda spec: "evaluator")
    monkeypatch.setattr(answers, "Space", lambda spec: "space")
    front = pd.DataFrame({"chat.tokens_per_joule": [5.0, 6.0], "cost_usd": 9.0, "chat.tpot_ms": [3.0, 4.0]})
    one = Answers(SimpleNamespace(manifest={"counts": {"evaluated": 1}}, spec=SPEC, front=front))
    assert one._front.tolist() == [[3, -5], [4, -6]]


def test_the_page_starts_from_the_knee_or_from_nothing(monkeypatch):
    shown = []
    monkeypatch.setattr(answers, "page", lambda run, points, live: shown.append((points, live)) or "page")
    picks = [{"name": "best_tpot_ms", "design": {"macs": 1}}, {"name": "knee", "design": {"macs": 2}}]
    for some, start in ((picks, {"macs": 2}), (picks[:1], {"macs": 1}), ([], {})):
        one = made(_spec=SPEC, run=SimpleNamespace(picks=some))
        one._groups = lambda: ["groups"]
        assert one.page(points=5) == "page"
        points, live = shown.pop()
        assert points == 5 and vars(live)["data"] == {"groups": ["groups"], "start": start}


def test_controls_stand_in_groups_each_once():
    one = made(_spec=SPEC, _space=SimpleNamespace(dimensions=["memory", "sram_mib", "spread"]))
    one._control = lambda name: name
    varied, rest, chat = one._groups()
    assert varied == {"title": "what the sweep varies", "controls": ["memory", "sram_mib"]}
    assert rest["controls"] == [name for name in PARAMETERS if name not in ("memory", "sram_mib")]
    assert chat["title"] == "chat" and "chat.batch" in chat["controls"]
    # A group of nothing is none.
    one._space.dimensions = []
    assert [group["title"] for group in one._groups()] == ["the rest of the chip", "chat"]

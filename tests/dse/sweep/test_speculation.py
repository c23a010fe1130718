"""Speculation in a sweep file: what is read, what is refused, and that its numbers are swept."""

import copy

import numpy as np
import pytest

from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import parse_spec
from tests.sweeps import small

DRAFTS = {"draft_tokens": 4, "acceptance": 0.7, "draft": "llama3_8b"}


def sweep(speculation=DRAFTS, *, model="llama3_70b", **space):
    text = copy.deepcopy(small())
    text["workloads"]["chat"] = {"model": model, "batch": 4, **({"speculation": speculation} if speculation else {})}
    text["space"] |= space
    return text


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (sweep({**DRAFTS, "draft": "lama3_8b"}), "chat.speculation.draft", "perhaps llama3_8b"),
        (sweep({**DRAFTS, "draft": "ngrams"}), "chat.speculation.draft", "perhaps ngram"),
        (sweep({**DRAFTS, "draft": 3}), "chat.speculation.draft", "a model of the library, or mtp or ngram"),
        (sweep({**DRAFTS, "draft": "vit_22b"}), "chat.speculation.draft", "generates no tokens"),
        (sweep({**DRAFTS, "acceptance": 1.2}), "chat.speculation.acceptance", "at most 1"),
        (sweep({**DRAFTS, "draft_tokens": 2.5}), "chat.speculation.draft_tokens", "a whole number"),
        (sweep({**DRAFTS, "draft_token": 2}), "chat.speculation.draft_token", "perhaps draft_tokens"),
        (sweep({"draft": "ngram", "draft_tokens": 2}), "chat.speculation.acceptance", "is missing"),
        (sweep("ngram"), "chat.speculation", "a mapping with the keys draft_tokens, acceptance, draft"),
        (sweep({**DRAFTS, "draft": "mtp"}, model="vit_22b"), "chat.speculation", "generates no tokens"),
        (sweep(None, **{"chat.draft_tokens": 4}), "chat.draft_tokens", "drafts nothing; perhaps workloads.chat.spec"),
    ],
)  # fmt: skip
def test_a_draft_that_cannot_be_is_refused_with_its_place(text, path, words):
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    (issue,) = caught.value.issues
    assert issue.path.endswith(path) and words in str(issue)


def test_every_fault_of_a_draft_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        parse_spec(sweep({"draft": "lama3_8b", "acceptance": -1, "drafts": 2}))
    assert len(caught.value.issues) == 4


def test_a_draft_survives_being_written_out_and_its_numbers_are_swept():
    spec = parse_spec(sweep(**{"chat.draft_tokens": {"values": [0, 4]}, "chat.acceptance": {"values": [0.5, 0.9]}}))
    again = parse_spec(spec.resolved())
    assert again.workloads["chat"].speculation == spec.workloads["chat"].speculation
    assert again.hash == spec.hash
    designs = {
        "macs": np.full(4, 65536.0),
        "chat.draft_tokens": np.array([0.0, 0.0, 4.0, 4.0]),
        "chat.acceptance": np.array([0.5, 0.9, 0.5, 0.9]),
    }
    times = Evaluator(spec).evaluate(designs).metrics["chat.tpot_ms"]
    alone = Evaluator(parse_spec(sweep(None))).evaluate({"macs": np.full(1, 65536.0)}).metrics["chat.tpot_ms"]
    np.testing.assert_allclose(times[:2], alone[0], rtol=1e-12)
    assert times[3] < times[2] and times[3] < alone[0]


def test_a_design_that_varies_numbers_of_a_draft_has_a_default():
    spec = parse_spec(sweep(**{"chat.draft_tokens": {"values": [0, 4, 6]}}))
    assert Space(spec).default_design()["chat.draft_tokens"] == 4

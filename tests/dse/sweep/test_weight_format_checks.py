"""What a sweep may set of its weight formats."""

import pytest

from dse.errors import SpecError
from dse.sweep import parse_spec

SWEEP = {
    "name": "formats",
    "workloads": {"chat": {"model": "llama2_70b"}},
    "objectives": [{"metric": "chat.tpot_ms", "direction": "minimize"}],
    "search": {"sampler": "grid"},
}
XOR = {"weight_format": ["xor"]}


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"weight_bits": {"values": [2, 3]}}, "not free in weight_format int4_g128"),
        (
            {"weight_format": {"values": ["bitmap", "nm"]}, "sparsity": {"values": [0.5]}},
            "not free in weight_format nm",
        ),
        ({"weight_format": "xor", "n_in": {"values": [7]}}, "not been measured for n_in 7"),
        ({"weight_format": "xor", "sparsity": {"values": [0.1, 0.5]}}, "sparsity from 0.3 to 0.95"),
        ({"weight_format": "nm", "nm_m": {"values": [2, 4]}}, "keeps up to 2 of 2"),
        ({"weight_format": "xor", "n_out": {"values": [6, 16]}}, "n_out from 6 with n_in up to 8 is not at least n_in"),
        ({"weight_format": "xor", "n_out": 20}, "by 1.25 to 1.25; it has been measured from 0.8 to 1"),
        ({"weight_format": "bitmap", "n_out": 16}, "not free in weight_format bitmap"),
        ({"weight_format": "group_int", "weight_execution": "skip"}, "skip cannot execute weight_format group_int"),
    ],
)
def test_what_means_nothing_is_refused(space, words):
    with pytest.raises(SpecError, match=words):
        parse_spec({**SWEEP, "space": space})


def test_conditions_reach_through_other_parameters():
    space = {
        "weight_format": {"values": ["nm", "xor", "int4_g128"]},
        "nm_m": {"values": [4, 8], "when": {"weight_format": ["nm"]}},
        "nm_n": [{"values": [2], "when": {"nm_m": [4]}}, {"values": [4], "when": {"nm_m": [8]}}],
        "n_in": {"values": [4, 8], "when": XOR},
        "shift_registers": {"low": 0, "high": 2, "step": 1, "when": XOR},
    }
    assert parse_spec({**SWEEP, "space": space}).space.keys() == space.keys()


def test_outputs_of_a_code_follow_its_sparsity():
    space = {
        "weight_format": {"values": ["xor", "binary_coded"]},
        "weight_group": {"values": [64, 128], "when": {"weight_format": ["binary_coded"]}},
        "sparsity": {"values": [0.5, 0.7], "when": XOR},
        "n_out": [
            {"low": 13, "high": 16, "step": 1, "when": {**XOR, "sparsity": [0.5]}},
            {"values": [22, 26], "when": {**XOR, "sparsity": [0.7]}},
        ],
    }
    assert parse_spec({**SWEEP, "space": space}).space.keys() == space.keys()


@pytest.mark.parametrize(
    ("space", "fine"),
    [
        ({"sparsity": 0.3}, True), ({"sparsity": 0.29}, False), ({"sparsity": 0.95}, True), ({"sparsity": 0.96}, False),
        ({"n_out": 16}, True), ({"n_out": 17}, False), ({"n_in": 4, "n_out": 8}, True), ({"n_in": 4,
        "n_out": 9}, False),
        ({"n_out": 8, "sparsity": 0.3}, False), ({"n_out": 10, "sparsity": 0.3}, True),
    ],
)  # fmt: skip
def test_codes_are_taken_as_far_as_they_are_measured(space, fine):
    sweep = {**SWEEP, "space": {"weight_format": "xor", **space}}
    if fine:
        assert parse_spec(sweep)
    else:
        with pytest.raises(SpecError, match="measured"):
            parse_spec(sweep)


@pytest.mark.parametrize(
    ("space", "kept"),
    [({"nm_n": 3}, ""), ({"nm_n": 4}, "4 of 4"), ({"nm_m": 3}, ""), ({"nm_m": 2}, "2 of 2"),
     ({"nm_n": {"values": [2, 5]}, "nm_m": {"values": [8, 6]}}, ""), ({"nm_n": {"values": [2, 6]},
     "nm_m": {"values": [8, 6]}}, "6 of 6")],
)  # fmt: skip
def test_fewer_weights_are_kept_than_there_are(space, kept):
    sweep = {**SWEEP, "space": {"weight_format": "nm", **space}}
    if not kept:
        assert parse_spec(sweep)
    else:
        with pytest.raises(SpecError, match=f"keeps up to {kept} weights"):
            parse_spec(sweep)


def test_every_rule_of_a_format_answers_as_it_did(answers_as_stored):
    answers_as_stored("formats")

"""Words that are shown short, and what was probably meant by another."""

from __future__ import annotations

from typing import Any

import pytest

from dse.sweep.hints import METRIC_ALIASES, one_of, quoted, suggest, suggest_metric


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"), ("x" * 60, repr("x" * 60)), ("x" * 61, repr("x" * 57 + "...")), (True, "true"), ({}, "a mapping"),
        ((1,), "a list"), (2.0, "2"), (-3.0, "-3"), (2.5, "2.5"), (1e15, "1000000000000000.0"),
        (999999999999999.0, "999999999999999"),
        (None, "None"), (7, "7"),
    ],
)  # fmt: skip
def test_a_value_is_shown_short(value: Any, text: str) -> None:
    assert quoted(value) == text


def test_names_are_a_choice_in_words() -> None:
    assert [one_of(names) for names in ("abc", "ab", "a", "")] == ["a, b or c", "a or b", "a", "none"]


NAMES = ("memory_devices", "memory_device_gib", "macs", "clock_ghz", "h100_sxm", "llama3_8b", "llama3_70b", "int4_g128")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Memory-Devices", "memory_devices"), ("memory devices", "memory_devices"), ("memory_device", "memory_devices"),
        ("mac", "macs"), ("ma", ""), ("h10", "h100_sxm"), ("h1", ""), ("clock_gzh", "clock_ghz"), ("tp", "tensor"),
        ("xyzzy", ""),
        ("int4", "int4_g128"), ("llama3", "llama3_8b or llama3_70b"),
        ("meta-llama/Llama3-8B-Instruct", "llama3_8b or llama3_70b"),
        ("memory_dev", "memory_devices or memory_device_gib"), ("sxm", ""),
        ("_sxm", "h100_sxm"), ("my_macs_x", "macs"),
        ("100_s", "h100_sxm"),
    ],
)  # fmt: skip
def test_what_was_probably_meant(word: str, meant: str) -> None:
    assert suggest(word, NAMES, {"tp": "tensor"}) == meant


def test_names_within_a_word_are_of_four_letters_and_three_at_most() -> None:
    assert suggest("my_h20_card", ("h20",)) == "" and suggest("my_h200_card", ("h200",)) == "h200"
    names = ["one_middle_a", "two_middle_b", "six_middle_c", "ten_middle_d"]
    assert suggest("middle", names) == "one_middle_a, two_middle_b or six_middle_c"


METRICS = (
    "tdp_w",
    "cost_usd",
    "chat.tpot_ms",
    "chat.ttft_ms",
    "code.tpot_ms",
    "chat.tokens_per_s",
    "code.tokens_per_s",
)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("tpot_ms", "chat.tpot_ms or code.tpot_ms"), ("chat.tpot", "chat.tpot_ms"), ("chta.tpot_ms", "chat.tpot_ms"),
        ("code.latency_ms", "code.tpot_ms"), ("code.ttft_ms", "chat.ttft_ms"), ("tdp", "tdp_w"), ("cost", "cost_usd"),
        ("latency", "chat.tpot_ms, code.tpot_ms or chat.ttft_ms"), ("chat.throughput", "chat.tokens_per_s"),
        ("nonsense", ""),
        ("nobody.tdp_w", "tdp_w"),
    ],
)  # fmt: skip
def test_metrics_are_meant_for_the_workload_that_is_named(word: str, meant: str) -> None:
    assert suggest_metric(word, METRICS) == meant
    assert METRIC_ALIASES["latency_ms"] == "tpot_ms"

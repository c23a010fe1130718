"""Names, numbers and words that a sweep holds, just inside and just outside of each rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from cost_models.library import shipped_library
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.records import Parameter
from dse.sweep import fields
from dse.sweep.fields import ValidationContext, as_whole, check_name, is_identifier, number_of, word_of
from dse.sweep.goals import ConstraintSpec, ObjectiveSpec

LIBRARY = shipped_library()
CONTEXT = ValidationContext(LIBRARY, ("tdp_w", "perplexity_ratio"), METRICS, ("pair",))


def told(error: PydanticCustomError | Mapping[str, Any]) -> str:
    """An error of a validator in one line."""
    said: Any = error.context if isinstance(error, PydanticCustomError) else error["ctx"]
    must_be = f" is not {said['must_be']}" if said["must_be"] else ""
    return f"{said['what']}{must_be}" + (f"; {said['perhaps']}" if said["perhaps"] else "")


def answer(read: Callable[..., Any], *given: Any) -> Any:
    """What is read of a value, or what is wrong with it."""
    try:
        return read(*given)
    except PydanticCustomError as error:
        return told(error)
    except ValidationError as error:
        return [told(one) for one in error.errors()]


def parameter(unit: str = "", **more: Any) -> Parameter:
    return Parameter("port", unit, "", None, **more)


def test_every_rule_of_a_name_or_a_number_answers_as_it_did(answers_as_stored: Callable[[str], None]) -> None:
    answers_as_stored("names_and_numbers")


def test_a_number_has_a_unit_bounds_and_a_size() -> None:
    watts, share, count = parameter("W"), parameter(high=1.0), parameter(integer=True)
    for one, value, expected in (
        (watts, 5, 5), (watts, "5", 5), (watts, " 5 ", 5), (watts, "1 kW", 1000.0), (watts, "0.5", 0.5),
        (watts, True, "true is not a number"), (watts, [1], "a list is not a number"),
        (watts, None, "None is not a number"),
        (watts, "true", "'true' is not a number, or a quantity that converts to W"),
        (watts, "5 ms", "'5 ms' is not a number, or a quantity that converts to W"),
        (watts, "5 w", "'5 w' is not a number, or a quantity that converts to W; 5 W"),
        (watts, 0, "0 is not above 0 W"), (watts, -3, "-3 is not above 0 W"), (parameter("W", open_low=False), 0, 0),
        (parameter("W", open_low=False), -0.5, "-0.5 is not at least 0 W"),
        (parameter("W", low=2.0, high=9.0), 9, 9),
        (parameter("W", low=2.0, high=9.0), 9.1, "9.1 is not above 2 W and at most 9 W"),
        (parameter("W", low=2.0, high=9.0), 2, "2 is not above 2 W and at most 9 W"),
        (parameter("W", low=2.0, high=9.0, open_low=False), 2, 2),
        (share, 1, 1), (share, "3 %", 0.03), (share, 1.1, "1.1 is not above 0 and at most 1"),
        (share, 1.99, "1.99 is not above 0 and at most 1"), (share, 2, "2 is not above 0 and at most 1; '2 %'"),
        (share, 100, "100 is not above 0 and at most 1; '100 %'"),
        (share, 100.5, "100.5 is not above 0 and at most 1"),
        (parameter("W", high=1.0), 40, "40 is not above 0 W and at most 1 W"),
        (parameter(high=2.0), 40, "40 is not above 0 and at most 2"),
        (parameter(high=0.5), 40, "40 is not above 0 and at most 0.5; '40 %'"),
        (count, 2, 2), (count, 2.0, 2), (count, "2", 2), (count, 2.5, "2.5 is not a whole number"),
        (count, 1e15, 10**15), (count, 1.1e15, "1100000000000000.0 is not a whole number, at most 1e+15"),
        (watts, 1e15, 1e15), (watts, 1.1e15, "1100000000000000.0 is not at most 1e+15 (W)"),
        (watts, 1e-15, 1e-15), (watts, 9e-16, "9e-16 is not 0, or at least 1e-15 in size (W)"),
        (parameter(), 1.1e15, "1100000000000000.0 is not at most 1e+15"),
    ):  # fmt: skip
        found = answer(number_of(one), value)
        assert found == expected and type(found) is type(expected), (one.unit, value, found)
    assert answer(as_whole, -1.1e15, "x") == "'x' is not a whole number, at least -1e+15"
    assert answer(as_whole, -1e15, "x") == -(10**15) and answer(as_whole, float("nan"), "x").startswith("'x' is not")


def test_pure_numbers_and_amounts_have_the_ends_that_are_asked_for() -> None:
    free, whole, some = (
        TypeAdapter(type_).validate_python
        for type_ in (
            fields.Annotated[float, fields.number()], fields.Annotated[int, fields.number(low=1, whole=True)],
            fields.Annotated[float, fields.amount_in("ms")],
        )
    )  # fmt: skip
    assert (free(-1e9), free(0), whole(1), some("2 s")) == (-1e9, 0, 1, 2000)
    assert answer(whole, 0) == ["0 is not at least 1"] and answer(whole, 1.5) == ["1.5 is not a whole number"]
    assert answer(some, 0) == ["0 is not above 0 ms"]


def test_a_choice_of_few_names_is_listed_and_one_of_many_is_not() -> None:
    eight, nine = (parameter(names=tuple("abcdefghi"[:count])) for count in (8, 9))
    assert check_name("a", eight, LIBRARY) == "a"
    assert answer(check_name, "z", eight, LIBRARY) == "'z' is not a, b, c, d, e, f, g or h"
    assert answer(check_name, "z", nine, LIBRARY) == "'z' is not a port of the library (dse library lists them)"
    assert answer(check_name, 3, eight, LIBRARY) == "3 is not the name of a port"
    models = parameter(section="models")
    assert check_name("meta-llama/Llama-3.1-8B-Instruct", models, LIBRARY) == "llama3_8b"
    assert answer(check_name, "llama3-9b", models, LIBRARY).endswith("; llama3_8b")
    assert answer(check_name, 3, models, LIBRARY) == "3 is not the name of a model"
    aliased = parameter(section="chips")
    assert answer(check_name, "h100", aliased, LIBRARY).endswith("; h100_sxm")


def test_chips_are_a_count_and_a_name() -> None:
    read = TypeAdapter(fields.Chips).validate_python
    for value, expected in (
        ("h100_sxm", "1x h100_sxm"), ("2x h100_sxm", "2x h100_sxm"), (" 2 X h100_sxm ", "2x h100_sxm"),
        ("3×h100_sxm", "3x h100_sxm"), ("10x h100_sxm", "10x h100_sxm"), ("02x h100_sxm", "2x h100_sxm"),
        ("0x h100_sxm", ["'0x h100_sxm' is not a chip of the library, or a count of one; 1x h100_sxm"]),
        ("00x h100_sxm", ["'00x h100_sxm' is not a chip of the library, or a count of one; 1x h100_sxm"]),
        ("-2x h100_sxm", ["'-2x h100_sxm' is not a chip of the library, or a count of one; 1x h100_sxm"]),
        ("h100 sxm", ["'h100 sxm' is not a chip of the library, or a count of one; 1x h100_sxm"]),
        (3, ["3 is not a chip of the library, or a count of one"]),
        ("2x h100_sxn", ["'h100_sxn' is not a chip of the library (dse library lists them); 2x h100_sxm"]),
        ("h100_sxn", ["'h100_sxn' is not a chip of the library (dse library lists them); h100_sxm"]),
        ("2x zzz", ["'zzz' is not a chip of the library (dse library lists them)"]),
    ):  # fmt: skip
        found = answer(lambda one: read(one, context=CONTEXT), value)
        assert found == expected, value


def test_words_and_names_and_flags() -> None:
    assert (
        is_identifier("a" * 80) and not is_identifier("a" * 81) and not is_identifier("2a") and is_identifier("a-b_2")
    )
    kinds = (fields.Identifier, fields.Flag, fields.Text)
    identifier, flag, text = (TypeAdapter(one).validate_python for one in kinds)
    rule = " is not letters, digits, _ or -, beginning with a letter"
    for read, value, expected in (
        (identifier, "chat", "chat"), (identifier, " a b! ", [f"' a b! '{rule}; a_b"]),
        (identifier, "2a", [f"'2a'{rule}"]),
        (identifier, "a" * 81, [f"'{'a' * 57}...'{rule}; {'a' * 80}"]), (identifier, 3, ["3 is not text; '3'"]),
        (identifier, True, ["true is not text; 'true'"]), (identifier, [1], ["a list is not text"]),
        (flag, True, True), (flag, False, False), (flag, "Yes", ["'Yes' is not true or false; true"]),
        (flag, 1, ["1 is not true or false; true"]), (flag, 0, ["0 is not true or false; false"]),
        (flag, "off", ["'off' is not true or false; false"]), (flag, "nay", ["'nay' is not true or false"]),
        (text, "x", "x"), (text, 2.5, ["2.5 is not text; '2.5'"]), (text, None, ["None is not text"]),
    ):  # fmt: skip
        assert answer(read, value) == expected, value
    direction = TypeAdapter(fields.Direction).validate_python
    assert direction("minimize") == "minimize"
    assert answer(direction, "minimise") == ["'minimise' is not minimize or maximize; 'minimize'"]
    assert answer(direction, 1) == ["1 is not minimize or maximize"]
    either = TypeAdapter(fields.Annotated[str, word_of(("ab", "cd"), {"x": "ab or cd"})]).validate_python
    assert answer(either, "x") == ["'x' is not ab or cd; ab or cd"]


def test_batches_layouts_pools_and_drafts() -> None:
    batch, layout, pool, draft = (
        TypeAdapter(one).validate_python
        for one in (fields.Batch, fields.ParallelismName, fields.Annotated[Any, fields.POOL], fields.DraftName)
    )
    assert [batch(one) for one in ("largest", 3, 2.5)] == ["largest", 3, 2.5] and answer(batch, 0)[0].startswith("0 is")
    assert [layout(one) for one in ("tensor", "tp4_pp2")] == ["tensor", "tp4_pp2"]
    assert answer(layout, "tensr")[0].endswith("; tensor") and answer(layout, 4)[0].startswith("4 is not tensor")
    assert [pool(one) for one in ("design", "2x l4", {"chips": "l4"}, 3)] == [
        None,
        {"chips": "2x l4"},
        {"chips": "l4"},
        3,
    ]
    for value, expected in (
        ("mtp", "mtp"), ("ngram", "ngram"), ("llama3_8b", "llama3_8b"),
        ("n-gram", ["'n-gram' is not a model of the library, or mtp or ngram; ngram"]),
        ("llama3_9b", ["'llama3_9b' is not a model of the library, or mtp or ngram; llama3_8b"]),
        (3, ["3 is not a model of the library, or mtp or ngram"]),
    ):  # fmt: skip
        assert answer(lambda one: draft(one, context=CONTEXT), value) == expected, value


def test_bounds_are_in_the_unit_of_the_metric_and_tolerances_are_shares() -> None:
    def read(**said: Any) -> Any:
        one = ConstraintSpec.model_validate(said, context=CONTEXT)
        return {name: value for name, value in one.model_dump().items() if value is not None and name != "metric"}

    unknown = "'tdp' is not a metric of this sweep; tdp_w"
    never = "is not at least {}: {} is never below it"
    for said, expected in (
        ({"metric": "tdp_w", "max": "1 kW"}, {"max": 1000.0}), ({"metric": "tdp_w", "max": 0}, {"max": 0.0}),
        ({"metric": "tdp_w", "max": -3}, [f"-3 {never.format(0, 'tdp_w')}; 3"]),
        ({"metric": "perplexity_ratio", "max": 1}, {"max": 1.0}),
        ({"metric": "perplexity_ratio", "max": 0.9}, [f"0.9 {never.format(1, 'perplexity_ratio')}"]),
        ({"metric": "perplexity_ratio", "max": -1}, [f"-1 {never.format(1, 'perplexity_ratio')}"]),
        ({"metric": "perplexity_ratio", "max": -1.5}, [f"-1.5 {never.format(1, 'perplexity_ratio')}; 1.5"]),
        ({"metric": "perplexity_ratio", "max": 0.9, "relative_to": "pair"}, {"max": 0.9, "relative_to": "pair"}),
        ({"metric": "tdp_w", "max": "50 %", "relative_to": "pair"}, {"max": 0.5, "relative_to": "pair"}),
        ({"metric": "tdp_w", "max": "50 W", "relative_to": "pair"}, ["'50 W' is not a number"]),
        ({"metric": "tdp_w", "max": 1e-16}, ["1e-16 is not 0, or at least 1e-15 in size (W)"]),
        ({"metric": "tdp_w", "max": 1, "relative_to": "par"}, ["'par' is not a baseline of this sweep; pair"]),
        ({"metric": "tdp_w", "near": 30, "within": "3 W"}, {"near": 30.0, "within": 0.1}),
        ({"metric": "perplexity_ratio", "near": 2, "within": "3 W"}, ["'3 W' is not a number"]),
        ({"metric": "tdp_w", "near": 30, "within": "3 %"}, {"near": 30.0, "within": 0.03}),
        ({"metric": "tdp_w", "near": 30, "within": 0}, ["0 is not above 0"]),
        ({"metric": "tdp_w", "near": 0, "within": "3 W"}, ["'3 W' is not a number"]),
        ({"metric": "tdp_w", "near": 2, "within": "3 W", "relative_to": "pair"}, ["'3 W' is not a number"]),
        # Of a metric that is at fault the unit is not known: any will do.
        ({"metric": "tdp", "max": "3 s"}, [unknown]),
        ({"metric": "tdp", "near": 3, "within": "3 s"}, [unknown, "'3 s' is not a number"]),
        ({"metric": "tdp", "max": True}, [unknown, "true is not a number"]),
        ({"metric": 3, "max": 1}, ["3 is not the name of a metric"]),
        ({"metric": "p_feasible", "min": 1}, ["p_feasible needs Monte Carlo samples; add robustness: {draws: 2000}"]),
    ):  # fmt: skip
        found = answer(lambda one: read(**one), said)
        assert found == expected, said
    nobody = ValidationContext(LIBRARY, ("tdp_w",), METRICS, ())
    with pytest.raises(ValidationError) as caught:
        ConstraintSpec.model_validate({"metric": "tdp_w", "max": 1, "relative_to": "pair"}, context=nobody)
    assert [told(one) for one in caught.value.errors()] == ["'pair' is not a baseline of this sweep (it has none)"]
    assert ObjectiveSpec.model_config["frozen"] and ConstraintSpec.model_config["extra"] == "forbid"

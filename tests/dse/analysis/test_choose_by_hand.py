"""Which ways to serve are tried, kept and ranked, of ways that are made up."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.errors import LibraryError
from cost_models.evaluate.chips import ChipSetup
from dse.analysis import choose as choosing
from dse.analysis.choose import KNOWN, Chosen, Way, _judged, _ranked, choose, full_name, limits_spec, setups_of
from dse.errors import Place, SpecError

SPEC = limits_spec(["llama3_8b"], [])
SETUP = ChipSetup("h100_sxm", "fp8", kv_bits=8.0, act_bits=16.0)


def way(name, price=1.0, tpot=1.0, missed=None, chips=1, split="tensor", **values):
    values = {"price_usd": price, "llama3_8b.tpot_ms": tpot, "llama3_8b.request_s": tpot / 7, **values}
    return Way(name, chips, split, SETUP, values, missed or {})


def ranked(*ways, rank="price"):
    found = _ranked(SPEC, ways, {}, rank)
    return [one.name for one in found.ways], [one.name for one in found.ways if one.on_front], found


def test_ways_within_the_limits_stand_first_by_rank_then_speed():
    order, front, found = ranked(
        way("dear", 10, 5), way("cheap", 5, 9), way("beaten", 11, 6), way("far", 1, 1, {"a": 0.1, "b": 0.2}),
        way("near", 99, 99, {"a": 0.15}), way("priceless", math.nan, 1), way("slow", 5, 10),
        way("none", 1, 1, {"a": math.inf}),
    )  # fmt: skip
    assert order == ["cheap", "slow", "dear", "beaten", "priceless", "near", "far", "none"]
    assert front == ["cheap", "dear"]
    assert (found.rank, found.speed) == ("price_usd", "llama3_8b.tpot_ms")


def test_of_equals_fewer_chips_stand_first_then_names_then_words():
    order, _, _ = ranked(way("b", chips=2), way("a", chips=2), way("c", chips=1))
    assert order == ["c", "a", "b"]
    _, _, found = ranked(way("a", chips=2, split="tensor"), way("a", chips=2, split="pipeline"))
    assert [one.split for one in found.ways] == ["pipeline", "tensor"]


def test_what_is_wanted_large_is_ranked_from_its_largest():
    fast, slow = way("fast", tpot=2, **{"llama3_8b.tokens_per_s": 9.0}), way("slow", **{"llama3_8b.tokens_per_s": 4.0})
    beaten = way("beaten", tpot=3, **{"llama3_8b.tokens_per_s": 8.0})
    order, front, found = ranked(slow, beaten, fast, rank="tokens_per_s")
    assert (order, front, found.rank) == (["fast", "beaten", "slow"], ["fast", "slow"], "llama3_8b.tokens_per_s")


def test_the_front_holds_speed_against_the_rank_price_against_speed_and_requests_where_no_token_follows():
    _, front, found = ranked(way("a", 2, 1), way("b", 1, 2), way("c", 3, 3), rank="speed")
    assert (found.rank, found.speed, front) == ("llama3_8b.tpot_ms", "price_usd", ["a", "b"])
    encoders = [
        way("a", 1, math.nan, **{"llama3_8b.request_s": 3.0}),
        way("b", 2, math.nan, **{"llama3_8b.request_s": 1.0}),
    ]
    _, front, found = ranked(*encoders)
    assert (found.speed, front) == ("llama3_8b.request_s", ["a", "b"])
    assert ranked(encoders[0], way("c"))[2].speed == "llama3_8b.tpot_ms"
    order, front, found = ranked()
    assert (order, front, found.speed) == ([], [], "llama3_8b.tpot_ms")
    assert ranked(way("a", missed={"x": 0.1}), way("b", math.nan))[1] == []


@pytest.mark.parametrize(
    ("rank", "says"), [("colour", "is not price, cost"), ("chat.colour", "is not price"), ("hang", "not price")]
)
def test_a_rank_is_a_word_or_a_metric(rank, says):
    with pytest.raises(SpecError, match=says):
        ranked(way("a"), rank=rank)
    with pytest.raises(SpecError, match="is not known of chips that can be bought"):
        ranked(way("a"), rank="reticle_dies" if "reticle_dies" in KNOWN else "nre_usd")
    assert ranked(way("a", **{"llama3_8b.decode_w": 3.0}), rank="power")[2].rank == "llama3_8b.decode_w"


def test_a_metric_of_a_workload_takes_its_name():
    place = Place("x")
    for metric, named in (("tpot_ms", "chat.tpot_ms"), ("price_usd", "price_usd"), ("code.tpot_ms", "code.tpot_ms")):
        assert full_name(metric, "chat", place, KNOWN) == named
    with pytest.raises(SpecError, match=r"'tpot_s' is not a metric.*tpot_ms"):
        full_name("tpot_s", "chat", place, KNOWN)


def test_the_best_is_one_of_each_chip_that_meets_the_limits_or_of_all_where_none_does():
    ways = (way("a", chips=2), way("b"), way("a"), way("c", missed={"x": 1.0}))
    assert [(one.name, one.chips) for one in Chosen(SPEC, "", "", ways, {}).best] == [("a", 2), ("b", 1)]
    none = tuple(way(name, missed={"x": 1.0}) for name in "abab")
    assert [one.name for one in Chosen(SPEC, "", "", none, {}).best] == ["a", "b"]


def test_a_way_in_words_and_as_data():
    assert way("a").words == "1x, fp8, KV 8, act 16" and way("a", chips=2).words == "2x, fp8, KV 8, act 16, tensor"
    data = way("a", missed={"x": 0.5}, chips=2).plain()
    assert data["chip"] == "h100_sxm" and data["meets_limits"] is False and data["missed"] == {"x": 0.5}
    assert (data["parallelism"], data["on_front"], data["price_usd"]) == ("tensor", False, 1.0)
    assert way("a").plain()["meets_limits"] is True


# -- what is tried ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tried(monkeypatch):
    """What `choose` tries, in place of evaluating it; `tpu_v4` cannot be evaluated."""
    asked = []

    def ways(evaluator, name, setup, split, counts):
        if name == "tpu_v4":
            raise LibraryError("no such thing")
        asked.append((name, setup.chip, setup.weight_format, split, counts.tolist()))
        return []

    monkeypatch.setattr(choosing, "Evaluator", lambda spec: SimpleNamespace(spec=spec))
    monkeypatch.setattr(choosing, "_ways", ways)
    return asked


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8]), (9, [1, 2, 4, 8, 9])]
)
def test_powers_of_two_and_the_most_are_tried_in_every_split(tried, most, counts):
    choose(SPEC, chips=["l4"], formats=["fp8"], most_chips=most)
    expected = [("l4", "l4", "fp8", "tensor", counts)]
    # One chip is split in no way.
    assert tried == expected + ([("l4", "l4", "fp8", "pipeline", counts[1:])] if most > 1 else [])


def test_every_chip_and_format_is_tried_and_what_cannot_be_is_left_out(tried):
    found = choose(SPEC, chips=["l4", "tpu_v4", "l40s"], most_chips=1)
    assert [one[:3] for one in tried] == [
        (name, name, form) for name in ("l4", "l40s") for form in ("bf16", "fp8", "int4_g128")
    ]
    assert found.left_out == {"tpu_v4": "no such thing"} and found.ways == ()
    tried.clear()
    assert len(choose(SPEC).left_out) == 1 and tried[0][4] == [1, 2, 4, 8]
    assert {one[0] for one in tried} == set(choosing.library_of(SPEC.library).chips) - {"tpu_v4"}


def test_all_faults_are_told_at_once(tried):
    with pytest.raises(SpecError) as fault:
        choose(limits_spec(["llama3_8b n_chips=4 parallelism=tp4"], []), chips=["l4", "h100"], formats=["fp8", "fp9"])
    told = [(issue.path, issue.perhaps) for issue in fault.value.issues]
    assert [path for path, _ in told] == [
        "--chip", "--as", "workloads.llama3_8b.n_chips", "workloads.llama3_8b.parallelism",
    ]  # fmt: skip
    assert "h100_sxm" in told[0][1] and told[3][1] == "--chips N" and tried == []


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch):
    """Ways with chips 1, 2 and 4 of which it is told what fits, what is linked and how far limits are kept."""

    def judged(served, margins, links=(1.0, 1.0, 1.0)):
        monkeypatch.setattr(
            choosing, "_columns", lambda evaluator, chip, counts, one: {"x": 3 * counts, "y": np.ones(1)}
        )
        monkeypatch.setattr(choosing, "link_margin", lambda one: np.array(links))
        monkeypatch.setattr(choosing, "load_margin", lambda one: np.array([one.users]))
        workloads = {name: SimpleNamespace(required=name != "free") for name in served}
        evaluator = SimpleNamespace(
            spec=SimpleNamespace(workloads=workloads),
            constraint_margins=lambda columns: {name: np.array(one) for name, one in margins.items()},
        )
        served = {name: SimpleNamespace(fits=np.array(fits), users=users) for name, (fits, users) in served.items()}
        return _judged(evaluator, "a", SETUP, "tensor", np.array([1.0, 2.0, 4.0]), served)

    return judged


def test_ways_that_hold_every_required_workload_and_are_linked_are_kept(judged):
    found = judged({"chat": ([False, True, True], None), "code": ([True], None), "free": ([False], None)}, {})
    assert [(one.name, one.chips, one.split, one.values) for one in found] == [
        ("a", 2, "tensor", {"x": 6, "y": 1}), ("a", 4, "tensor", {"x": 12, "y": 1}),
    ]  # fmt: skip
    assert all(one.meets for one in found)
    # One chip needs no link, a margin of 0 is one.
    unlinked = judged({"chat": ([True], None)}, {}, links=(-1.0, -1.0, 0.0))
    assert [one.chips for one in unlinked] == [1, 4]
    assert judged({"chat": ([False], None), "code": ([True], None)}, {}) == []


def test_limits_are_missed_by_a_share_or_by_all_where_nothing_is_known(judged):
    margins = {"cheap": [0.0, -0.25, math.nan], "fast": [0.5]}
    found = judged({"chat": ([True], 0.5), "code": ([True], -0.1), "free": ([True], -9.0)}, margins)
    assert [one.missed for one in found] == [
        {"code.load": 0.1}, {"code.load": 0.1, "cheap": 0.25}, {"code.load": 0.1, "cheap": math.inf},
    ]  # fmt: skip


# -- what is asked for ------------------------------------------------------------------------------------------------


def test_limits_are_constraints_on_the_first_workload():
    spec = limits_spec(
        ["llama3_8b batch=4", "llama3_70b name=big"],
        [("max", "ttft_ms = 2 s"), ("min", "big.tokens_per_s=7"), ("max", "price_usd=1_000")],
    )
    assert [(one.metric, one.max, one.min) for one in spec.constraints] == [
        ("llama3_8b.ttft_ms", 2000, None), ("big.tokens_per_s", None, 7), ("price_usd", 1000, None),
    ]  # fmt: skip
    assert list(spec.workloads) == ["llama3_8b", "big"] and spec.workloads["llama3_8b"].batch == 4
    with pytest.raises(SpecError) as fault:
        limits_spec(["llama3_8b"], [("max", "tpot_ms"), ("min", "=3"), ("max", "tpot_ms=")])
    assert [issue.must_be for issue in fault.value.issues] == ["of the form METRIC=BOUND"] * 3


def test_formats_are_read_with_their_bits():
    plain, wide = setups_of(["int4_g128", " fp8, kv_bits=8 act_bits=8 serving_stack=vllm"])
    assert (plain.weight_format, plain.kv_bits, plain.act_bits, plain.chip) == ("int4_g128", 16, 16, "")
    assert (wide.weight_format, wide.kv_bits, wide.act_bits, wide.serving_stack) == ("fp8", 8, 8, "vllm")
    with pytest.raises(SpecError) as fault:
        setups_of(["fp8 act_bits=33 colour=2", "bf16 =", "fp8 kv_bits=0.5"])
    assert sorted(issue.path for issue in fault.value.issues) == ["", "act_bits", "colour", "kv_bits"]


@pytest.mark.parametrize(("own", "split"), [(None, "tp2"), ("pipeline", "pipeline")])
def test_a_baseline_is_split_as_it_says_or_as_the_first_workload_is(monkeypatch, own, split):
    asked = []

    def judged(evaluator, name, setup, split, counts, served):
        asked.append((name, setup, split, counts.tolist(), served))
        return ["way"] if name == "pair" else []

    monkeypatch.setattr(choosing, "_judged", judged)
    workloads = {"chat": SimpleNamespace(parallelism="tp2"), "code": SimpleNamespace(parallelism="tp4")}
    evaluator = SimpleNamespace(
        spec=SimpleNamespace(workloads=workloads), serve_baseline=lambda entry, workload: f"{workload} served"
    )
    entry = SimpleNamespace(parallelism=own, setup=SETUP, count=2)
    assert choosing._baseline(evaluator, "pair", entry) == "way"
    assert asked == [("pair", SETUP, split, [2.0], {"chat": "chat served", "code": "code served"})]
    assert choosing._baseline(evaluator, "none", entry) is None

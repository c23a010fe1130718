"""Which chips serve a workload: the same numbers as a baseline of the same chips, in the right order, limits kept."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from cost_models.library import shipped_library
from dse.analysis.choose import RANKS, choose, choose_baselines, limits_spec, setups_of
from dse.errors import SpecError
from dse.evaluator import Evaluator
from dse.sweep import parse_spec
from tests.sweeps import SHORT_CHAT, tiny

WORKLOAD = "llama3_8b batch=16 prompt_tokens=512 output_tokens=256"
CHIPS = ("h100_sxm", "a100_80gb_sxm", "l40s", "mi300x", "rtx_4090", "tpu_v4")


@pytest.fixture(scope="module")
def found():
    return choose(limits_spec([WORKLOAD], [("max", "tpot_ms=20 ms"), ("max", "price_usd=60000")]), chips=CHIPS)


def test_a_way_to_serve_is_a_baseline_by_another_name(found):
    for way in found.ways[:40]:
        setup = way.setup
        entry = {"chips": f"{way.chips}x {way.name}", "weight_format": setup.weight_format, "kv_bits": setup.kv_bits,
                 "act_bits": setup.act_bits, "parallelism": way.split}  # fmt: skip
        spec = parse_spec(tiny(workloads=SHORT_CHAT, baselines={"it": entry}, constraints=[]))
        metrics = Evaluator(spec).baselines["it"]
        for name in ("tpot_ms", "ttft_ms", "decode_w", "perplexity_ratio"):
            assert way.values[f"llama3_8b.{name}"] == pytest.approx(metrics[f"chat.{name}"], rel=1e-12, nan_ok=True)
        for name in ("tdp_w", "price_usd"):
            assert way.values[name] == pytest.approx(way.chips * metrics[name], rel=1e-12, nan_ok=True)


def test_a_rental_price_is_paid_for_all_chips_while_their_share_of_the_time_is_used(found):
    library, used, priced = shipped_library(), Evaluator(found.spec).technology.value("tco.utilisation"), 0
    for way in found.ways:
        hourly = library.chip(way.name).rental_usd_per_hour
        told = way.values["llama3_8b.rental_usd_per_million_tokens"]
        assert math.isnan(told) == (hourly is None), way.name
        if hourly is not None:
            priced += 1
            tokens = way.values["llama3_8b.tokens_per_s_end_to_end"] * 3600 * float(used)
            assert told == pytest.approx(way.chips * hourly / tokens * 1e6)
            assert way.values["rental_usd_per_hour"] == pytest.approx(way.chips * hourly)
    assert priced > 50
    # What a cloud asks for an H100 is more than what its owner pays back, and less than five times as much.
    one = next(way for way in found.ways if way.name == "h100_sxm" and way.chips == 1)
    assert 1 < one.values["rental_usd_per_hour"] / one.values["llama3_8b.usd_per_hour"] < 5


def test_limits_are_on_all_chips_together(found):
    meeting = [way for way in found.ways if way.meets]
    assert meeting and len(meeting) < len(found.ways)
    for way in found.ways:
        slow, dear = way.values["llama3_8b.tpot_ms"], way.values["price_usd"]
        assert way.meets == (slow <= 20 and dear <= 60000)
    # Those within the limits stand first.
    assert [way.meets for way in found.ways] == sorted((way.meets for way in found.ways), reverse=True)


@pytest.mark.parametrize("rank", RANKS)
def test_every_rank_sorts_and_its_front_is_that_of_brute_force(rank):
    found = choose(limits_spec([WORKLOAD], [("max", "tpot_ms=20")]), rank=rank, chips=CHIPS)
    meeting = [way for way in found.ways if way.meets and not math.isnan(way.values[found.rank])]
    values = [way.values[found.rank] for way in meeting]
    assert values == sorted(values) and values
    points = [(way.values[found.rank], way.values[found.speed]) for way in meeting]
    for way, point in zip(meeting, points, strict=True):
        beaten = any(all(np.less_equal(other, point)) and other != point for other in points)
        if way.on_front:
            assert not beaten


def test_more_chips_of_a_kind_hold_what_fewer_hold(found):
    held = {(way.name, way.setup, way.split, way.chips) for way in found.ways}
    for name, setup, split, chips in held:
        assert chips == 8 or (name, setup, "tensor", chips * 2) in held or split != "tensor"


def test_every_chip_of_the_library_is_tried_or_said_to_be_left_out():
    found = choose(limits_spec(["llama3_8b"], []), formats=["int4_g128"], most_chips=8)
    tried = {way.name for way in found.ways}
    assert not tried & {*found.left_out}
    library = shipped_library()
    for name in set(library.chips) - tried - {*found.left_out}:
        # What neither runs nor is left out is too small.
        chip = library.chips[name]
        assert (8 if chip.link_gbps else 1) * chip.capacity_gib < 8, name


def test_a_sweep_that_varies_nothing_ranks_its_baselines(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    baselines = {"one": {"chips": "1x h100_sxm"}, "two": {"chips": "2x a100_80gb_sxm"}}
    sweep = tiny(space={}, baselines=baselines, constraints=[{"metric": "chat.tpot_ms", "max": 20}])
    found = choose_baselines(parse_spec(sweep))
    assert found.rank == "chat.tpot_ms" and [way.name for way in found.ways] == ["one", "two"]
    # 70 billion weights of 16 bits are 140 GB: more than one of 80 GB holds, less than two.
    large = parse_spec({**sweep, "workloads": {"chat": {"model": "llama3_70b", "batch": 1}}})
    assert not found.left_out and choose_baselines(large).left_out == {"one": "not every required workload fits"}
    # What need not fit has no say in who serves, and no numbers where it does not fit.
    beside = {**sweep["workloads"], "large": {"model": "llama3_70b", "required": False}}
    both = choose_baselines(parse_spec({**sweep, "workloads": beside}))
    assert not both.left_out and [way.name for way in both.ways] == ["one", "two"]
    for way, alone in zip(both.ways, found.ways, strict=True):
        assert way.missed == alone.missed and way.values["chat.tpot_ms"] == alone.values["chat.tpot_ms"]
        assert math.isnan(way.values["large.tpot_ms"]) == (way.name == "one")
    Path("it.yaml").write_text(yaml.safe_dump(sweep))
    assert call("run", "it.yaml")[1] == call("choose", "it.yaml")[1]
    assert call("check", "it.yaml")[0] == 0
    del sweep["baselines"]
    with pytest.raises(SpecError, match="space"):
        parse_spec(sweep)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["llama3_8x"], "llama3_8b"),
        (["llama3_8b", "--max", "tpott=3"], "is not a metric"),
        (["llama3_8b", "--max", "tpot_ms"], "METRIC=BOUND"),
        (["llama3_8b", "--max", "tpot_ms=3 W"], "ms"),
        (["llama3_8b", "--as", "fp9"], "is not a format"),
        (["llama3_8b", "--as", "fp8 kv_bits=many"], "1 to 32"),
        (["llama3_8b", "--as", "fp8 kvbits=8"], "kv_bits"),
        (["llama3_8b", "--chip", "h100"], "h100_sxm"),
        (
            ["llama3_8b", "--chip", "h100_sxm", "--rank", "colour"],
            "is not price, cost, hour, rental, power or speed, or a metric",
        ),
    ],
)
def test_what_cannot_be_is_told(call, arguments, says):
    status, out, err = call("choose", *arguments)
    assert (status, out) == (2, "") and says in err


def test_none_is_status_3_and_says_what_the_nearest_misses(call):
    status, out, _ = call("choose", "llama3_8b", "--max", "tpot_ms=0.001", "--chip", "h100_sxm")
    assert status == 3 and out.splitlines()[1].strip().startswith("NO:") and "misses" in out


def test_the_picture_is_drawn(call, tmp_path):
    assert call("choose", "llama3_8b", "--chip", "h100_sxm", "--plots", tmp_path)[0] == 0
    assert (tmp_path / "choose.png").stat().st_size > 10_000


def test_a_chip_of_the_user_takes_part(call, tmp_path):
    chip = shipped_library().chips["h100_sxm"].model_dump(exclude_none=True, exclude={"key"}, mode="json")
    (tmp_path / "chips.yaml").write_text(yaml.safe_dump({"chips": {"my_chip": chip}}))
    status, out, err = call("choose", "llama3_8b", "--library", tmp_path, "--chip", "my_chip")
    assert status == 0 and "my_chip" in out, err


def test_chips_whose_users_wait_too_long_at_any_load_do_not_serve_them():
    traffic = "llama3_8b batching=continuous prompt_tokens=512 output_tokens=64 ttft_limit_ms="
    specs = (limits_spec([traffic + limit], []) for limit in ("0.1", "60000"))
    hopeless, easy = (choose(spec, chips=CHIPS, most_chips=2) for spec in specs)
    assert hopeless.ways and not any(way.meets for way in hopeless.ways)
    assert easy.ways and all(way.meets for way in easy.ways)
    for way in (*hopeless.ways, *easy.ways):
        assert way.meets == (way.values["llama3_8b.goodput_requests_per_s"] > 0)


def test_bits_of_a_format_are_1_to_32():
    for bits in (1, 4.5, 32):
        (setup,) = setups_of([f"fp8 kv_bits={bits} act_bits=16"])
        assert (setup.weight_format, setup.kv_bits, setup.act_bits) == ("fp8", bits, 16)
    for wrong in ("0.9", "32.5", "many", "true"):
        with pytest.raises(SpecError, match=r"kv_bits.*1 to 32"):
            setups_of([f"fp8 kv_bits={wrong}"])
    with pytest.raises(SpecError) as fault:
        setups_of(["fp8 kv_bits=0", "bf16 colour=3"])
    assert {issue.path for issue in fault.value.issues} == {"kv_bits", "colour"}


@pytest.mark.parametrize("field", ["n_chips=4", "parallelism=tp4"])
def test_a_number_of_chips_is_what_is_looked_for(call, field):
    status, _, err = call("choose", f"llama3_8b {field}")
    assert status == 2 and "every number of chips is tried" in err and "perhaps --chips N" in err

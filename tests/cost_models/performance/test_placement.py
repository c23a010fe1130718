"""Tensors in two memories: the least reading time of all placements, sums, prices, and nothing written to flash."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import designs_machine, serve_chip, serve_chips, serve_designs
from cost_models.evaluate.workload import Drafting, Workload
from cost_models.library import shipped_library
from cost_models.library.layers import Indexer
from cost_models.library.technology import Technology
from cost_models.performance.placement import WRITTEN, placed, second_fractions
from cost_models.silicon.cost import Economics
from cost_models.silicon.machine import Placement
from cost_models.table import INACTIVE, Choice, Table
from cost_models.workload.formats import Formats
from cost_models.workload.hotness import hotness, hottest
from cost_models.workload.serving import ServingConfig, footprint, held_tensors
from cost_models.workload.speculation import Speculation

TECHNOLOGY, ECONOMICS = Technology(), Economics.of(shipped_library())
LIBRARY = TECHNOLOGY.library
CHAT = Workload("chat", "llama2_70b", 8.0, 1024, 256)
HBM = {"memory": "hbm3e", "memory_devices": 1, "memory_device_gib": 24}
LPDDR = {"second_memory": "lpddr5x_9600", "second_memory_device_bits": 64, "second_memory_device_gib": 16}
FLASH = {"second_memory": "hbf", "second_memory_devices": 1, "second_memory_device_gib": 512}


def served(settings, workload=CHAT):
    return serve_designs(Table.from_settings(settings), workload, TECHNOLOGY, ECONOMICS)


def least_seconds(held, read, written, capacities, seconds, read_mostly):
    """Return the least reading time by linear programming: one variable per tensor and memory."""
    k = len(held)
    density = np.divide(read, held, out=np.zeros(k), where=held > 0)
    prices = np.concatenate([density * seconds[0], density * seconds[1]])
    whole = np.hstack([np.eye(k), np.eye(k)])
    rooms = np.vstack([np.repeat([1.0, 0.0], k), np.repeat([0.0, 1.0], k)])
    high = [*held, *(0.0 if flash else amount for amount, flash in zip(held, written * read_mostly, strict=True))]
    found = linprog(prices, A_ub=rooms, b_ub=capacities, A_eq=whole, b_eq=held, bounds=[(0, top) for top in high])
    return found.fun if found.success else None


def test_no_placement_reads_faster():
    rng = np.random.default_rng(3)
    solved = 0
    for _ in range(150):
        held = rng.exponential(1.0, 6) * (rng.random(6) < 0.9)
        read = held * rng.choice([0.0, 0.2, 0.75, 1.0, 2.0], 6)
        written = (rng.random(6) < 0.4).astype(float)
        capacities, seconds = rng.uniform(0.2, 5.0, 2), rng.uniform(0.1, 3.0, 2)
        read_mostly = float(rng.integers(0, 2))
        best = least_seconds(held, read, written, capacities, seconds, read_mostly)
        if best is None:
            continue
        solved += 1
        share = second_fractions(
            held[:, None], read[:, None], written[:, None],
            capacities=tuple(np.array([one]) for one in capacities),
            seconds_per_byte=tuple(np.array([one]) for one in seconds), read_mostly=np.array([read_mostly]),
        )[:, 0]  # fmt: skip
        assert ((share >= 0) & (share <= 1)).all() and not (share * written * read_mostly).any()
        assert (held * (1 - share)).sum() <= capacities[0] + 1e-9 and (held * share).sum() <= capacities[1] + 1e-9
        assert (read * ((1 - share) * seconds[0] + share * seconds[1])).sum() == pytest.approx(best, abs=1e-9)
    assert solved > 60


@pytest.mark.parametrize(
    ("model", "tensor_parallel", "stages"),
    [("llama2_70b", 1, 1), ("llama2_70b", 4, 2), ("mixtral_8x7b", 2, 1), ("gpt_oss_120b", 1, 3), ("llama3_8b", 1, 1)],
)
def test_tensors_sum_to_the_footprint(model, tensor_parallel, stages):
    serving = ServingConfig(
        LIBRARY.model(model),
        16.0,
        512,
        128,
        float(tensor_parallel),
        float(stages),
        "pipeline" if stages > 1 else "tensor",
    )
    formats = Formats(weight_bits=4.25, head_bits=16.0, kv_bits=8.0, activation_bits=16.0, expert_bits=4.0)
    held = held_tensors(serving, formats, chunk_rows=2048.0)
    whole = footprint(serving, formats, chunk_rows=2048.0)
    assert sum(held.values()) == pytest.approx(whole.most_loaded_bytes, rel=1e-12)
    assert (held["experts"] > 0) == (LIBRARY.model(model).moe is not None)


def test_a_design_without_a_second_memory_keeps_every_bit_beside_those_with_one():
    plain = served({**HBM, "memory_devices": 2})
    rows = {
        **Table.from_settings({**HBM, "memory_devices": 2, "second_memory_device_bits": 64}),
        "second_memory": Choice(("lpddr5x_9600", "hbf"), np.array([INACTIVE, 0, 1])),
        "second_memory_device_gib": np.array([np.nan, 16.0, 512.0]),
    }
    mixed = serve_designs(rows, CHAT, TECHNOLOGY, ECONOMICS)
    for of in (
        lambda result: result.inference.decode_s, lambda result: result.inference.prefill_s,
        lambda result: result.inference.decode_energy.board_j, lambda result: result.machine.cost_usd,
        lambda result: result.machine.tdp_w, lambda result: result.machine.die_mm2,
    ):  # fmt: skip
        assert of(mixed)[0] == of(plain)[0]
    # All fits the first, which is faster than LPDDR: the second holds nothing that is read.
    fractions = mixed.inference.placed.placement.second_fraction
    assert fractions["dense"][1] == fractions["cache"][1] == 0
    assert mixed.inference.decode_s[1] == plain.inference.decode_s[0]
    assert mixed.machine.cost_usd[1] > plain.machine.cost_usd[0] and mixed.machine.tdp_w[1] > plain.machine.tdp_w[0]


def test_a_step_takes_what_both_memories_take_one_after_the_other():
    result = served({**HBM, **LPDDR, "second_memory_devices": 4}).inference
    first, second = result.placed, result.placed.second
    where = first.placement
    rates = first.bandwidth_bytes_per_s * first.stream_efficiency, second.bytes_per_s
    reached = {"cache": result.software.attention_bandwidth_efficiency}
    expected = sum(
        read
        * ((1 - where.second_fraction[name]) / rates[0] + where.second_fraction[name] / rates[1])
        / reached.get(name, result.software.bandwidth_efficiency)
        for name, read in where.read_bytes.items()
    )
    spent = result.decode.sum(result.decode.times.memory_s)
    assert spent == pytest.approx(expected, rel=1e-9)
    assert (result.decode_s >= result.bound_s).all()
    kept = sum(held * (1 - where.second_fraction[name]) for name, held in where.held_bytes.items())
    assert kept == pytest.approx(24 * 2**30)
    joules = 8e-12 * np.array(
        [TECHNOLOGY.value(f"memory.{name}.energy_total_pj_per_bit") for name in ("hbm3e", "lpddr5x")]
    )
    there = sum(read * where.second_fraction[name] for name, read in where.read_bytes.items())
    here = sum(where.read_bytes.values()) - there
    assert result.decode_energy.parts_j["memory"] == pytest.approx(here * joules[0] + there * joules[1])


def test_more_or_faster_memory_is_never_slower():
    slow, wide, more = (
        served({**HBM, **LPDDR, "second_memory_devices": devices, "memory_devices": stacks}).inference
        for devices, stacks in ((4, 1), (8, 1), (4, 2))
    )
    assert more.decode_s < wide.decode_s < slow.decode_s
    assert not served(HBM).inference.fits and slow.fits


def test_wider_devices_are_faster_and_cost_more():
    narrow, wide = (
        served({**HBM, **LPDDR, "second_memory_devices": 4, "second_memory_device_bits": bits}) for bits in (32, 64)
    )
    assert wide.inference.decode_s < narrow.inference.decode_s
    assert wide.machine.die_mm2 > narrow.machine.die_mm2 and wide.machine.tdp_w > narrow.machine.tdp_w


def test_flash_holds_weights_and_nothing_that_is_written():
    small = {"memory": "hbm3e", "memory_devices": 1, "memory_device_gib": 24}
    result = served({**small, **FLASH}).inference
    where = result.placed.placement
    assert result.fits and all(where.second_fraction[name] == 0 for name in WRITTEN)
    assert where.second_fraction["dense"] == 1, "flash of 1.2 TB/s delivered is the faster of the two"
    # 64 sequences of 8192 tokens have 40 GiB of cache: more than the HBM, however much flash there is.
    many = served({**small, **FLASH, "second_memory_devices": 4}, Workload("long", "llama2_70b", 64.0, 7168, 1024))
    assert many.inference.footprint.kv_bytes < many.machine.capacity_bytes and not many.inference.fits
    assert many.inference.chips_needed == np.ceil(
        (many.inference.footprint.kv_bytes + many.inference.footprint.activations_bytes) / (24 * 2**30)
    )
    largest = served({**small, **FLASH}, Workload("most", "llama2_70b", np.nan, 1024, 256)).inference
    held = largest.footprint
    each = held.kv_bytes / largest.serving.batch
    assert held.kv_bytes + held.activations_bytes <= 24 * 2**30 < held.kv_bytes + held.activations_bytes + each


def test_experts_that_are_read_seldom_go_to_the_slower_memory():
    workload = Workload("chat", "mixtral_8x7b", 1.0, 1024, 256)
    result = served({"memory": "hbm3e", "memory_devices": 1, "memory_device_gib": 24, **LPDDR,
                     "second_memory_devices": 4, "weight_format": "int8"}, workload).inference  # fmt: skip
    where = result.placed.placement
    reads = {name: where.read_bytes[name] / held for name, held in where.held_bytes.items() if held > 0}
    assert reads["experts"] < 0.5 < reads["dense"]
    assert where.second_fraction["dense"] == 0 and 0 < where.second_fraction["experts"] < 1


TIERS = {"memory": "hbm3e", "memory_devices": 1, "memory_device_gib": 24, **LPDDR, "second_memory_devices": 8,
         "weight_format": "int8"}  # fmt: skip


def test_hot_experts_follow_a_measured_profile():
    # Qwen3-30B-A3B on mixed text (llama.cpp's counts, 128 experts): 51 % of the experts take 90 % of the choices, and
    # the entropy of the choices is 11.1 % below the even one. One number of the profile gives both.
    parts = np.arange(129.0) / 128
    chosen = np.diff(hottest(np.full(1, 0.583), parts[:, None]), axis=0)[:, 0]
    assert chosen[:65].sum() == pytest.approx(0.90, abs=0.01) and chosen[:26].sum() == pytest.approx(0.59, abs=0.01)
    assert 1 + (chosen * np.log(chosen)).sum() / np.log(128) == pytest.approx(0.111, abs=0.005)
    assert hottest(np.array([0.2, 0.4, 0.9]), np.full(1, 0.2)) == pytest.approx([0.2, 0.4, 0.9])


def test_parts_of_experts_are_read_as_often_as_all_together():
    model = LIBRARY.model("qwen3_30b_a3b")
    read = np.array([model.moe.active_experts / 128, 0.4, 0.9, 1.0])
    for share in (0.2, 0.5, 0.8):
        hot = hotness(model, share, read)
        assert hot.sum(axis=0) == pytest.approx(1.0) and (np.diff(hot, axis=0) <= 1e-12).all()
        # No expert is read more than once in a step, and all are where all are read.
        assert (hot * read * len(hot) <= 1 + 1e-9).all() and hot[:, 3] == pytest.approx(1 / 64)
        # One token reads an expert as often as it chooses it.
        chosen = np.diff(hottest(np.full(1, share), np.arange(65)[:, None] / 64), axis=0)[:, 0]
        assert (chosen * 16 > 1).any() or hot[:, 0] == pytest.approx(chosen)
    assert hotness(model, np.nan, read) == hotness(LIBRARY.model("llama3_8b"), 0.5, read) == 1


@pytest.mark.parametrize(("share", "batch"), [(0.3, 1.0), (0.6, 4.0), (0.85, 16.0)])
def test_hot_and_cold_experts_lie_where_they_are_read_in_the_least_time(share, batch):
    workload = Workload("chat", "mixtral_8x7b", batch, 1024, 256, hottest_fifth=share)
    result = served(TIERS, workload).inference
    machine, where = result.placed, result.placed.placement
    names = [name for name, held in where.held_bytes.items() if name != "experts"]
    each = hotness(result.serving.model, share, where.read_bytes["experts"] / where.held_bytes["experts"])[:, 0]
    held = [*(float(where.held_bytes[name][0]) for name in names), *[float(where.held_bytes["experts"][0]) / 8] * 8]
    read = [*(float(where.read_bytes[name][0]) for name in names), *(float(where.read_bytes["experts"][0]) * each)]
    rooms = [
        float(machine.capacity_bytes[0] - machine.second.capacity_bytes[0]),
        float(machine.second.capacity_bytes[0]),
    ]
    rates = [
        float((machine.bandwidth_bytes_per_s * machine.stream_efficiency)[0]),
        float(machine.second.bytes_per_s[0]),
    ]
    # In GiB and ms: the solver's tolerances are absolute.
    best = least_seconds(
        np.array(held) / 2**30, np.array(read) / 2**30, np.zeros(len(held)),
        np.array(rooms) / 2**30, [2**30 * 1e3 / rate for rate in rates], 0.0,
    )  # fmt: skip
    spent = sum(
        amount * ((1 - where.second_reads[name]) / rates[0] + where.second_reads[name] / rates[1])
        for name, amount in where.read_bytes.items()
    )
    assert spent * 1e3 == pytest.approx(best, rel=1e-6)
    assert where.second_reads["experts"] < where.second_fraction["experts"]


def test_hotter_experts_are_never_slower_and_nothing_changes_in_one_memory():
    def step(settings, **told):
        return served(settings, Workload("chat", "mixtral_8x7b", 2.0, 1024, 256, **told)).inference

    steps = [float(step(TIERS, hottest_fifth=share).decode_s[0]) for share in (0.2, 0.35, 0.5, 0.8)]
    assert steps == sorted(steps, reverse=True) and steps[3] < 0.95 * steps[0]
    assert steps[0] == pytest.approx(float(step(TIERS).decode_s[0]), rel=1e-9)
    one = {"memory": "hbm3e", "memory_devices": 4, "memory_device_gib": 24, "weight_format": "int8"}
    assert step(one, hottest_fifth=0.8).decode_s == step(one).decode_s


def test_sparse_attention_keeps_its_index_in_the_faster_memory():
    # Every key of the index is scored at each step; of the latent, those of the top 2048 tokens are read.
    sparse = LIBRARY.model("deepseek_v3").model_copy(update={"indexer": Indexer(heads=64, head_dim=128, top_k=2048)})
    mine = Technology(library=replace(LIBRARY, models={**LIBRARY.models, "sparse": sparse}))
    design = {**TIERS, "memory_devices": 6, "memory_device_gib": 36, "second_memory_devices": 32,
              "second_memory_device_gib": 64, "weight_format": "int4_g128"}  # fmt: skip
    for batch, prefix in ((4.0, np.nan), (16.0, 60_000.0)):
        long = Workload("long", "sparse", batch, 100_000, 1000, prefix_cached=prefix)
        result = serve_designs(Table.from_settings(design), long, mine, ECONOMICS).inference
        where = result.placed.placement
        whole = footprint(result.serving, result.formats, chunk_rows=result.software.chunk_rows)
        assert sum(where.held_bytes.values()) == pytest.approx(whole.most_loaded_bytes, rel=1e-12)
        assert where.held_bytes["cache"] + where.held_bytes["index"] == pytest.approx(whole.kv_bytes, rel=1e-12)
        # 128 index elements beside 512 and 64 of the latent.
        assert where.held_bytes["index"] / where.held_bytes["cache"] == pytest.approx(128 / 576, rel=1e-9)
        assert where.second_fraction["index"] == 0
    # A prefix is held once and read for each sequence.
    assert where.read_bytes["index"] / where.held_bytes["index"] > 1
    alone = serve_designs(
        Table.from_settings(design), Workload("long", "sparse", 4.0, 100_000, 1000), mine, ECONOMICS
    ).inference.placed.placement
    reads = {name: float(alone.read_bytes[name][0] / alone.held_bytes[name][0]) for name in ("cache", "index")}
    assert reads["index"] == pytest.approx(1.0, rel=0.01) and reads["cache"] == pytest.approx(2049 / 101_000, rel=0.01)
    assert alone.second_fraction["cache"] > 0


def test_a_second_memory_is_paid_for():
    def made(devices):
        settings = {**HBM, **LPDDR, "second_memory_devices": devices}
        return designs_machine(Table.from_settings(settings), TECHNOLOGY, ECONOMICS)

    one, four = made(1), made(4)
    for name in ("die_mm2", "tdp_w", "cost_usd", "embodied_kg", "static_w"):
        assert getattr(four, name) > getattr(one, name), name
    price = TECHNOLOGY.value("memory.lpddr5x.price_usd_per_gb")
    assert four.blocks["cost_usd"]["memory"] - one.blocks["cost_usd"]["memory"] == pytest.approx(3 * 16 * price)
    assert four.limits["package_balls"][0] > one.limits["package_balls"][0]
    odd = {**HBM, **LPDDR, "second_memory_device_gib": 17}
    used, allowed = designs_machine(Table.from_settings(odd), TECHNOLOGY, ECONOMICS).limits["memory_device"]
    assert used > allowed


def test_a_draft_and_its_model_share_the_memories():
    alone = served({**HBM, **LPDDR, "second_memory_devices": 4}).inference
    drafted = served(
        {**HBM, **LPDDR, "second_memory_devices": 4},
        Workload("chat", "llama2_70b", 8.0, 1024, 256, drafting=Drafting(3.0, 0.7, "llama3_8b")),
    ).inference
    both = [drafted.placed.placement, drafted.draft.placed.placement]
    first = sum(held * (1 - where.second_fraction[name]) for where in both for name, held in where.held_bytes.items())
    assert first == pytest.approx(24 * 2**30, rel=1e-9)
    assert both[0].second_fraction["dense"] > alone.placed.placement.second_fraction["dense"]


@pytest.mark.parametrize(("drafted", "gigabytes"), [(0.0, 6e9), (3.0, 6e9), (3.0, 30e9)])
def test_what_a_draft_holds_is_room_that_both_memories_have_less(drafted, gigabytes):
    one = served({**HBM, **LPDDR, "second_memory_devices": 5}).planned
    serving = replace(one.serving, speculation=Speculation(drafted, 0.7))
    # Weights, half of them in the second memory, and two gigabytes of a cache in the first.
    held = {"dense": np.array([gigabytes]), "cache": np.array([2e9])}
    there = {"dense": np.array([0.5]), "cache": np.zeros(1)}
    draft = Placement(held, held, there, there, there, there)
    taken = (gigabytes / 2 + 2e9, gigabytes / 2) if drafted else (0.0, 0.0)
    second = replace(one.machine.second, capacity_bytes=one.machine.second.capacity_bytes - taken[1])
    smaller = replace(one.machine, second=second, capacity_bytes=one.machine.capacity_bytes - sum(taken))
    rows = one.software.chunk_rows
    beside = placed(serving, one.machine, one.software, one.formats, chunk_rows=rows, before=draft).placement
    alone = placed(serving, smaller, one.software, one.formats, chunk_rows=rows).placement
    for name, fraction in alone.second_fraction.items():
        np.testing.assert_allclose(beside.second_fraction[name], fraction, err_msg=name)
    assert 0 < alone.second_fraction["dense"] <= 1
    # One that fills a memory leaves nothing of it.
    full = replace(draft, held_bytes={"dense": np.array([1e15]), "cache": np.array([2e9])})
    none = placed(serving, one.machine, one.software, one.formats, chunk_rows=rows, before=full).placement
    if drafted:
        assert not any(fraction.any() for fraction in none.second_fraction.values())


def test_a_library_chip_of_two_memories_reads_what_fits_its_sram_from_there():
    def on(chip, model, **changes):
        setup = ChipSetup(LIBRARY.chip(chip).model_copy(update=changes), "int8", kv_bits=8.0, act_bits=8.0)
        return serve_chip(setup, Workload("chat", model, 1.0, 512, 128), TECHNOLOGY).inference

    one_memory = {"second_capacity_gib": None, "second_bandwidth_gbps": None}
    small, plain = on("dmatrix_corsair", "llama32_1b"), on("dmatrix_corsair", "llama32_1b", **one_memory)
    where = small.placed.placement.second_fraction
    assert where["dense"] == where["head"] == where["cache"] == 1
    # 1.2 GiB read from LPDDR at 400 GB/s take 3 ms of memory alone; from SRAM a few microseconds.
    memory_s = [one.decode.sum(one.decode.times.memory_s) for one in (small, plain)]
    assert memory_s[0] < memory_s[1] / 100
    assert small.decode_s < plain.decode_s
    large = on("dmatrix_corsair", "llama3_8b").placed
    kept = sum(held * large.placement.second_fraction[name] for name, held in large.placement.held_bytes.items())
    assert kept == pytest.approx(2 * 2**30)


def test_chips_with_and_without_a_second_memory_stand_in_one_table():
    chat = Workload("chat", "llama32_1b", 1.0, 512, 128)
    setups = [ChipSetup(name, "int8", kv_bits=8.0, act_bits=8.0) for name in ("dmatrix_corsair", "a100_80gb_sxm")]
    both = serve_chips(setups, chat, TECHNOLOGY).inference.decode_s
    for row, setup in enumerate(setups):
        assert both[row] == serve_chip(setup, chat, TECHNOLOGY).inference.decode_s[0]

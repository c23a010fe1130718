"""Energy and power of passes: parts that add up, floors, limits."""

import dataclasses

import numpy as np
import pytest

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.energy import phase_energy
from cost_models.performance.phases import decode_phase
from cost_models.performance.serving_stack import software
from cost_models.silicon.chip import chip_machine
from cost_models.table import Choice
from cost_models.workload.formats import Formats
from cost_models.workload.serving import ServingConfig

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
FORMATS = Formats(16.0, 16.0, 16.0, 16.0)


def spent(stack, *, batch=16.0, chips=2.0, replicas=1.0, **machine):
    chip = LIBRARY.chip("h100_sxm")
    made = chip_machine(
        chip, weight_format=LIBRARY.weight_format("bf16"), act_bits=16, kv_bits=16, technology=TECHNOLOGY
    )
    made = dataclasses.replace(made, **{key: np.array([float(value)]) for key, value in machine.items()})
    serving = ServingConfig(LIBRARY.model("llama3_70b"), batch, 400.0, 400.0, chips, replicas=replicas)
    profile = software(Choice.of(stack), TECHNOLOGY)
    step = decode_phase(serving, made, profile, FORMATS)
    return step, phase_energy(step, step.pass_s, serving, made, FORMATS, profile), made, profile


def test_parts_and_losses_add_up_to_what_the_boards_draw():
    step, energy, machine, _ = spent("ideal", tdp_w=1e6)
    assert energy.board_j[0] == pytest.approx(sum(energy.parts_j.values())[0] / machine.conversion_efficiency[0])
    assert energy.board_w[0] == pytest.approx(energy.board_j[0] / step.pass_s[0])


def test_memory_alone_is_bytes_times_energy_per_byte():
    step, energy, machine, _ = spent("ideal")
    moved = step.sum(step.times.dram_bytes) * 2
    assert energy.parts_j["memory"][0] == pytest.approx((moved * machine.dram_j_per_byte)[0])
    assert energy.board_j[0] > energy.parts_j["memory"][0]


def test_boards_hold_their_limit():
    _, energy, _, _ = spent("gpu_serving", tdp_w=100.0)
    assert energy.board_w[0] == pytest.approx(200.0)


def test_running_costs_a_fraction_of_the_limit_on_a_programmable_chip_and_nothing_on_a_compiled_one():
    step, energy, machine, profile = spent("gpu_serving")
    assert energy.parts_j["active"][0] == pytest.approx((profile.active_fraction * machine.tdp_w * step.pass_s)[0] * 2)
    assert spent("static_compiled", tdp_w=np.nan)[1].parts_j["active"][0] == 0


def test_energy_per_token_falls_with_the_batch():
    per_token = [spent("gpu_serving", batch=batch)[1].board_j[0] / batch for batch in (1.0, 8.0, 64.0)]
    assert per_token == sorted(per_token, reverse=True)


def test_every_replica_takes_the_energy_of_one():
    one, four = (spent("gpu_serving", replicas=count)[1] for count in (1.0, 4.0))
    for name, joules in one.parts_j.items():
        np.testing.assert_allclose(four.parts_j[name], 4 * joules, err_msg=name)
    assert four.board_w[0] == pytest.approx(4 * one.board_w[0])


def test_queries_that_share_what_is_read_share_what_reading_costs():
    _, energy, machine, profile = spent("gpu_serving")
    _, ideal, _, _ = spent("ideal")
    step = spent("ideal")[0]
    # 64 query heads meet 8 key-value heads; the ideal stack pays a matrix unit's energy and no more.
    attention = step.sum_of_class("attention", step.operators.macs)[0] * machine.attention_j_per_mac[0] * 2
    added = energy.parts_j["arithmetic"][0] - ideal.parts_j["arithmetic"][0]
    assert added == pytest.approx(attention * (profile.decode_attention_energy[0] - 1) / 8)

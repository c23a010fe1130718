"""A machine that lowers its clock draws its limit, takes longer, and never draws more."""

import dataclasses

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import designs_machine, serve_chips, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.power_cap import added_s, capped_phase, slower
from cost_models.silicon.cost import Economics
from cost_models.table import Choice

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
ECONOMICS = Economics.of(LIBRARY)
DESIGN = {"macs": np.array([131072.0]), "clock_ghz": np.array([1.6]), "mac_format": Choice.of("bf16xbf16")}
WORK = Workload("prompts", "llama3_8b", batch=8.0, prompt_tokens=2048.0, output_tokens=64.0)


def served(design=DESIGN, work=WORK, **machine):
    made = designs_machine(design, TECHNOLOGY, ECONOMICS)
    made = dataclasses.replace(made, **{key: np.array([float(value)]) for key, value in machine.items()})
    return serve_designs(design, work, TECHNOLOGY, ECONOMICS, machine=made).inference


def test_a_limit_that_is_not_reached_costs_nothing():
    free, roomy = served(measured=1), served(tdp_w=1e6)
    assert roomy.prefill_s == free.prefill_s
    assert roomy.decode_s == free.decode_s


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
def test_a_capped_prefill_draws_its_limit_and_takes_longer(share):
    roomy = served(tdp_w=1e6)
    limit = float(roomy.prefill_energy.board_w[0]) * share
    capped, clipped = served(tdp_w=limit), served(tdp_w=limit, measured=1)
    assert capped.prefill_energy.board_w == pytest.approx([limit])
    assert capped.prefill_s > clipped.prefill_s == roomy.prefill_s
    # A lower clock needs less supply: less time is lost than by pausing, and energy falls.
    volts = designs_machine(DESIGN, TECHNOLOGY, ECONOMICS).limits["supply_v"][0]
    paused = served(DESIGN | {"supply_v": volts}, tdp_w=limit)
    assert capped.prefill_s < paused.prefill_s
    assert capped.prefill_energy.board_j < roomy.prefill_energy.board_j
    # Pausing at full energy: what flows meanwhile flows for longer too.
    standing = float((roomy.machine.static_w / roomy.machine.conversion_efficiency)[0])
    work = float(roomy.prefill_energy.board_j[0]) - standing * float(roomy.prefill_s[0])
    assert paused.prefill_s >= work / (limit - standing) * (1 - 1e-9)


def test_a_limit_below_what_always_flows_never_ends():
    assert np.isinf(served(tdp_w=1.0).prefill_s)


def test_lower_limits_never_help():
    roomy = served(tdp_w=1e6)
    watts = float(roomy.prefill_energy.board_w[0])
    times = [float(served(tdp_w=watts * share).prefill_s[0]) for share in (1.1, 0.95, 0.8, 0.6, 0.4)]
    assert times == sorted(times)


@pytest.mark.parametrize("slow_ghz", [1.5, 1.2, 1.0])
def test_under_its_limit_a_fast_design_is_the_slow_one_that_draws_as_much(slow_ghz):
    slow = served(DESIGN | {"clock_ghz": np.array([slow_ghz])}, tdp_w=1e6)
    for phase in ("prefill", "decode"):
        limit = float(getattr(slow, f"{phase}_energy").board_w[0])
        fast = served(tdp_w=limit)
        seconds, otherwise = (float(getattr(one, f"{phase}_s")[0]) for one in (fast, slow))
        assert seconds == pytest.approx(otherwise, rel=1e-6), phase


def test_a_running_program_that_draws_with_the_clock_never_holds_it_up():
    # Of the limit, idling and a program at full clock draw nearly all.
    design = DESIGN | {"serving_stack": Choice.of("local_runtime"), "macs": np.array([2048.0])}
    times = [float(served(design | {"clock_ghz": np.array([clock])}).decode_s[0]) for clock in (0.8, 1.0, 1.25, 1.6)]
    assert times == sorted(times, reverse=True)


def test_prompts_that_join_steps_are_held_to_the_limit_too():
    flying = dataclasses.replace(WORK, batching="in_flight")
    roomy, capped = served(work=flying, tdp_w=1e6), served(work=flying, tdp_w=60.0)
    assert capped.prefill.capped_s > 0
    assert capped.joining_s > roomy.joining_s


def test_the_stretch_says_what_a_library_chip_would_take_if_power_were_right():
    chat = dataclasses.replace(WORK, name="chat")
    setup = ChipSetup("h100_sxm")
    chip = serve_chips([setup], chat, TECHNOLOGY).inference
    assert chip.prefill.capped_s == 0
    assert chip.prefill_cap_stretch >= 1
    tight = dataclasses.replace(chip, machine=dataclasses.replace(chip.machine, tdp_w=chip.machine.tdp_w / 2))
    assert tight.prefill_s == chip.prefill_s
    # The same chip with a clock that follows its limit.
    told = tight.machine, tight.formats, tight.software
    following = dataclasses.replace(tight.machine, measured=np.zeros(1, bool)), *told[1:]
    longer = capped_phase(tight.prefill, tight.serving, *following).pass_s / tight.prefill.pass_s
    assert tight.prefill_cap_stretch == pytest.approx(longer) and longer > 1
    roomy, design = served(tdp_w=1e6), served(tdp_w=60.0)
    assert roomy.prefill_cap_stretch == 1
    assert design.prefill_cap_stretch == pytest.approx(design.prefill.pass_s / roomy.prefill.pass_s)


@pytest.mark.parametrize("share", [0.95, 0.7, 0.45])
def test_the_clock_is_that_at_which_what_is_drawn_is_the_limit(share):
    # Every term by itself: dynamic energy with V^2, a running program with c V^2, leakage with V, memory for longer.
    pair = dataclasses.replace(WORK, n_chips=2.0)
    roomy = served(DESIGN | {"link_gbps": np.array([300.0])}, pair, tdp_w=1e6)
    work, efficiency = roomy.prefill, float(roomy.machine.conversion_efficiency[0])
    limit = share * float(roomy.prefill_energy.board_w[0])
    machine = dataclasses.replace(roomy.machine, tdp_w=np.array([limit / 2]))
    program = dataclasses.replace(roomy.software, active_fraction=np.full(1, 0.2))
    parts = {name: float(joules[0]) / efficiency for name, joules in roomy.prefill_energy.parts_j.items()}
    law, seconds = machine.throttle, float(work.pass_s[0])
    memory, arithmetic = (getattr(work.times, f"{name}_s")[:, 0] for name in ("memory", "arithmetic"))
    turns, hidden = (work.total_s / work.times.total_s)[:, 0], float(program.non_overlapped_fraction[0])

    def at(place):
        clock, supply = (float(one[0]) for one in slower(law, np.full(1, place)))
        computing = arithmetic / clock
        longer = np.maximum(memory, computing) - np.maximum(memory, arithmetic)
        bare = np.minimum(memory, computing) - np.minimum(memory, arithmetic)
        time = seconds + ((longer + hidden * bare) * turns).sum()
        watts = 0.2 * limit / efficiency * clock * supply**2 + parts["static"] / seconds
        watts -= 2 * float(law.leakage_w[0]) / efficiency * (1 - supply)
        joules = (parts["arithmetic"] + parts["on_chip"] + parts["dequantizing"]) * supply**2
        joules += parts["memory"] + parts["links"]
        return time, joules + watts * time

    low, high = -12.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        time, joules = at(middle)
        low, high = (middle, high) if joules <= limit * time else (low, middle)
    assert -12 < low < 1
    added = added_s(work, roomy.serving, machine, roomy.formats, program)
    assert work.pass_s[0] + added[0] == pytest.approx(at(low)[0], rel=1e-6)


def test_a_machine_that_does_not_throttle_says_nothing_of_its_stretch():
    roomy = served(tdp_w=1e6)
    free = dataclasses.replace(roomy, machine=dataclasses.replace(roomy.machine, throttle=None))
    assert np.isnan(free.prefill_cap_stretch).tolist() == [True] and free.prefill_s == roomy.prefill_s


def test_what_no_clock_slows_down_pauses():
    roomy = served(tdp_w=1e6)
    work = roomy.decode
    still = dataclasses.replace(work, times=dataclasses.replace(work.times, arithmetic_s=0 * work.times.arithmetic_s))
    limit = float(roomy.decode_energy.board_w[0]) / 2
    machine = dataclasses.replace(roomy.machine, tdp_w=np.array([limit]))
    added = added_s(still, roomy.serving, machine, roomy.formats, roomy.software)
    parts = {name: float(joules[0]) for name, joules in roomy.decode_energy.parts_j.items()}
    throttle = machine.throttle
    volts = [float((throttle.guard + (1 - throttle.guard) * u)[0]) for u in (throttle.least, throttle.highest)]
    supply, efficiency = volts[0] / volts[1], float(machine.conversion_efficiency[0])
    moved = (parts["arithmetic"] + parts["on_chip"] + parts["dequantizing"]) * supply**2 + parts["memory"]
    flowing = float((machine.static_w - throttle.leakage_w * (1 - supply))[0])
    assert work.pass_s + added == pytest.approx(moved / (limit * efficiency - flowing), rel=1e-5)


def test_a_limit_of_just_what_always_flows_never_ends():
    roomy = served(tdp_w=1e6)
    work, law = roomy.prefill, dataclasses.replace(roomy.machine.throttle, leakage_w=np.zeros(1))
    program = dataclasses.replace(roomy.software, active_fraction=np.zeros(1))
    flowing_w = roomy.prefill_energy.parts_j["static"] / roomy.machine.conversion_efficiency / work.pass_s
    for spare_w, ends in ((0.0, False), (0.5, True)):
        machine = dataclasses.replace(roomy.machine, throttle=law, tdp_w=flowing_w + spare_w)
        (added,) = added_s(work, roomy.serving, machine, roomy.formats, program)
        assert np.isfinite(added) if ends else added == np.inf

"""A machine that lowers its clock draws its limit, takes longer, and never draws more."""

import dataclasses

import numpy as np
import pytest

from cost_models.evaluate.serve import designs_machine, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.performance.inference import infer
from cost_models.silicon.cost import Economics
from cost_models.table import Choice

LIBRARY, TECHNOLOGY = shipped_library(), Technology()
ECONOMICS = Economics.of(LIBRARY)
DESIGN = {"macs": np.array([131072.0]), "clock_ghz": np.array([1.6]), "mac_format": Choice.of("bf16xbf16")}
WORK = Workload("prompts", "llama3_8b", batch=8.0, prompt_tokens=2048.0, output_tokens=64.0)


def served(**machine):
    made = designs_machine(DESIGN, TECHNOLOGY, ECONOMICS)
    made = dataclasses.replace(made, **{key: np.array([float(value)]) for key, value in machine.items()})
    one = serve_designs(DESIGN, WORK, TECHNOLOGY, ECONOMICS, machine=made)
    return infer(one.serving, made, one.inference.software, one.formats)


def test_a_limit_that_is_not_reached_costs_nothing():
    free, roomy = served(cap_exponent=np.nan), served(tdp_w=1e6)
    assert roomy.prefill_s == free.prefill_s
    assert roomy.decode_s == free.decode_s


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
def test_a_capped_prefill_draws_its_limit_and_takes_longer(share):
    roomy = served(tdp_w=1e6)
    limit = float(roomy.prefill_energy.board_w[0]) * share
    capped, clipped = served(tdp_w=limit), served(tdp_w=limit, cap_exponent=np.nan)
    assert capped.prefill_energy.board_w == pytest.approx([limit])
    assert capped.prefill_s > clipped.prefill_s == roomy.prefill_s
    # A lower clock needs less supply: less time is lost than by pausing, and energy falls.
    paused = served(tdp_w=limit, cap_exponent=0.0)
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

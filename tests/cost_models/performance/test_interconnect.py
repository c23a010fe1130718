"""Collectives: closed forms and limits."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.files import Sections
from cost_models.library.reader import extended_library
from cost_models.library.technology import Technology
from cost_models.performance.interconnect import all_gather_s, all_reduce_s, all_to_all_s, send_s
from cost_models.performance.serving_stack import software
from cost_models.table import Choice

TINY = shipped_library().model("llama32_1b").model_dump(exclude={"key"}, exclude_none=True) | {
    "layers": 22, "kv_heads": 4, "d_ff": 5632, "vocab": 32000, "tied_embeddings": False, "published_params": 1.1e9,
}  # fmt: skip

PROFILE = {"collective_base_s": 5e-6, "collective_hop_s": 1e-6, "exchange_base_s": 9e-6, "collective_fraction": 0.5}


def chip(link_bytes_per_s=300e9, *, added_s=0.0, hop_s=0.0, rivalry=0.0):
    return SimpleNamespace(
        link_bytes_per_s=np.array([link_bytes_per_s]), link_added_s=np.array([added_s]), link_hop_s=np.array([hop_s]),
        link_rivalry=np.array([rivalry]),
    )  # fmt: skip


@pytest.fixture
def profile():
    return software(Choice.of("ideal"), Technology({f"stacks.ideal.{key}": value for key, value in PROFILE.items()}))


@pytest.mark.parametrize("chips", [2, 4, 8])
def test_an_all_reduce_sends_twice_what_a_gather_does(profile, chips):
    size = 64e6
    traffic = (chips - 1) / chips * size / (300e9 * 0.5)
    floor = 5e-6 + (chips - 2) * 1e-6
    assert all_reduce_s(size, chips, chip(), profile)[0] == pytest.approx(floor + 2 * traffic)
    assert all_gather_s(size, chips, chip(), profile)[0] == pytest.approx(floor + traffic)


def test_one_chip_has_nothing_to_sum_and_nothing_to_send(profile):
    assert all_reduce_s(64e6, 1, chip(), profile).item() == 0
    assert send_s(0.0, chip(), profile).item() == 0


def test_without_a_link_a_collective_never_ends(profile):
    assert np.isinf(all_reduce_s(1.0, 2, chip(0.0), profile)[0])


def test_more_chips_and_more_bytes_take_longer(profile):
    by_chips = [all_reduce_s(1e6, chips, chip(), profile)[0] for chips in (2, 3, 4, 8, 16)]
    by_size = [all_reduce_s(size, 8, chip(), profile)[0] for size in (1e3, 1e6, 1e9)]
    assert by_chips == sorted(by_chips)
    assert by_size == sorted(by_size)


def test_an_exchange_costs_its_floor_and_what_a_chip_sends(profile):
    assert all_to_all_s(30e6, 2.0, chip(), profile)[0] == pytest.approx(2 * 9e-6 + 30e6 / 150e9)
    assert all_to_all_s(0.0, 0.0, chip(), profile).item() == 0
    assert np.isinf(all_to_all_s(1.0, 1.0, chip(0.0), profile)[0])


@pytest.mark.parametrize("chips", [2, 4, 8])
def test_what_lies_between_chips_adds_its_time_and_is_shared(profile, chips):
    near, far = chip(), chip(added_s=20e-6, hop_s=2e-6, rivalry=0.5)
    small = all_reduce_s(1.0, chips, far, profile) - all_reduce_s(1.0, chips, near, profile)
    assert small[0] == pytest.approx(20e-6 + 2e-6 * (chips - 2), rel=1e-4)
    size = 64e9
    ratio = all_reduce_s(size, chips, far, profile) / all_reduce_s(size, chips, near, profile)
    assert ratio[0] == pytest.approx((chips / 2) ** 0.5, rel=1e-3)


def test_halving_a_small_model_between_boards_without_peer_access_gains_nothing():
    # TinyLlama 1.1B: 22 layers of two all-reduces each; two L40S were measured to be no faster than one.
    library = extended_library(Sections({"models": {"tiny": TINY}}))
    technology = Technology(library=library)

    def step_s(chip, chips):
        workload = Workload("tiny", "tiny", batch=1.0, prompt_tokens=128, output_tokens=128, n_chips=chips)
        return serve_chip(ChipSetup(chip, serving_stack="vllm"), workload, technology).inference.decode_s[0]

    assert step_s("l40s", 2) > 0.97 * step_s("l40s", 1)
    assert step_s("h100_sxm", 2) < 0.97 * step_s("h100_sxm", 1)

"""Collectives: closed forms and limits."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.library.technology import Technology
from cost_models.performance.interconnect import all_gather_s, all_reduce_s, all_to_all_s, send_s
from cost_models.performance.serving_stack import software
from cost_models.table import Choice

PROFILE = {"collective_base_s": 5e-6, "collective_hop_s": 1e-6, "exchange_base_s": 9e-6, "collective_fraction": 0.5}


def chip(link_bytes_per_s=300e9):
    return SimpleNamespace(link_bytes_per_s=np.array([link_bytes_per_s]))


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

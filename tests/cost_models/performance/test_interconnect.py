"""Collectives: closed forms and limits."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip, serve_chips
from cost_models.evaluate.workload import Workload
from cost_models.library import shipped_library
from cost_models.library.files import Sections
from cost_models.library.reader import extended_library
from cost_models.library.technology import Technology
from cost_models.performance.interconnect import (
    all_gather_s,
    all_reduce_s,
    all_to_all_s,
    device_of,
    die_all_reduce_s,
    die_exchange_bytes,
    send_s,
)
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.serving_stack import software
from cost_models.silicon.machine import Nodes
from cost_models.table import Choice
from tests.cost_models.performance.test_roofline import machine

TINY = shipped_library().model("llama32_1b").model_dump(exclude={"key"}, exclude_none=True) | {
    "layers": 22, "kv_heads": 4, "d_ff": 5632, "vocab": 32000, "tied_embeddings": False, "published_params": 1.1e9,
}  # fmt: skip

PROFILE = {"collective_base_s": 5e-6, "collective_hop_s": 1e-6, "exchange_base_s": 9e-6, "collective_fraction": 0.5}


def chip(link_bytes_per_s=300e9, *, added_s=0.0, hop_s=0.0, rivalry=0.0, axes=1.0, nodes=None):
    return SimpleNamespace(
        nodes=nodes,
        link_bytes_per_s=np.array([link_bytes_per_s]), link_added_s=np.array([added_s]), link_hop_s=np.array([hop_s]),
        link_rivalry=np.array([rivalry]), link_axes=np.array([axes]),
    )  # fmt: skip


def servers(chips, bytes_per_s=25e9, *, added_s=10e-6, hop_s=3e-6):
    """Chips in nodes of so many each."""
    columns = (np.array([float(one)]) for one in (chips, bytes_per_s, added_s, hop_s, 0.0, 0.0))
    return chip(hop_s=2e-6, nodes=Nodes(*columns))


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


def test_a_torus_has_the_hops_of_its_axes(profile):
    ring, torus = (all_reduce_s(1.0, 64, chip(axes=axes), profile)[0] for axes in (1, 3))
    # 4 x 4 x 4 chips: three hops along each axis, the first of all in the floor.
    assert (ring - torus) / 1e-6 == pytest.approx(62 - 8, rel=1e-6)
    few = [all_reduce_s(1.0, count, chip(axes=3), profile)[0] for count in (2, 4, 8, 16)]
    assert few == sorted(few)


def test_one_chip_has_nothing_to_sum_and_nothing_to_send(profile):
    assert all_reduce_s(64e6, 1, chip(), profile).item() == 0
    assert send_s(0.0, chip(), profile).item() == 0


def test_dies_of_a_package_pass_their_parts_round_a_ring():
    # Four dies of a buffer of 8 bytes: six steps of half a second and 2 bytes at 4 bytes/s; each sends 12 in all.
    made = SimpleNamespace(
        dies=np.array([1.0, 2.0, 4.0, 4.0, 4.0]), die_step_s=np.full(5, 0.5),
        die_link_bytes_per_s=np.array([0.0, 4.0, 4.0, 4.0, 0.0]),
    )  # fmt: skip
    size = np.array([8.0, 8.0, 8.0, 0.5, 0.0])
    assert die_all_reduce_s(size, made).tolist() == [0, 2 * (0.5 + 1), 6 * (0.5 + 0.5), 6 * (0.5 + 0.03125), 0]
    assert die_exchange_bytes(size, made).tolist() == [0, 16, 48, 3, 0]


def test_a_device_has_its_part_of_a_chip_s_links():
    one = machine(link=100.0, devices=1.0)
    assert device_of(one) is one
    two = device_of(machine(link=100.0, devices=2.0))
    assert two.link_bytes_per_s.tolist() == [50] and two.nodes is None
    nodes = Nodes(*(np.array([float(number)]) for number in (8, 25e9, 1e-6, 2e-6, 3, 4)))
    within = device_of(replace(machine(link=100.0, devices=2.0), nodes=nodes))
    told = [getattr(within.nodes, field).item() for field in vars(nodes)]
    assert told == [16, 12.5e9, 1e-6, 2e-6, 3, 4] and within.link_bytes_per_s.tolist() == [50]


def test_two_chips_of_a_torus_are_one_hop_apart(profile):
    for axes in (1, 2, 3):
        assert all_gather_s(1.0, 2, chip(axes=axes), profile)[0] == pytest.approx(5e-6, rel=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_crosses_no_link_does_not_ask_for_one(profile):
    # A single stage hands nothing on; neighbours in a server need no network, and those in others no links.
    assert send_s(1e6, chip(0.0), profile, stages=1).tolist() == [0]
    assert send_s(1e6, chip(), profile).shape == (1,)
    near, far = 5e-6 + 1e6 / 150e9, 5e-6 + 10e-6 + 1e6 / 12.5e9
    alone = servers(8, 0.0)
    assert send_s(1e6, alone, profile, stages=np.array([2.0, 1.0]), chips=4).tolist() == pytest.approx([near, 0])
    apart = SimpleNamespace(**{**vars(servers(8)), "link_bytes_per_s": np.zeros(1)})
    assert send_s(1e6, apart, profile, stages=np.array([3.0, 1.0]), chips=8).tolist() == pytest.approx([2 * far, 0])
    # Chips of one server exchange over links alone, single chips of many over the network alone.
    assert all_to_all_s(1e6, 1.0, alone, profile, chips=8)[0] == pytest.approx(9e-6 + 1e6 / 150e9)
    single = SimpleNamespace(**{**vars(servers(1)), "link_bytes_per_s": np.zeros(1)})
    assert all_to_all_s(1e6, 1.0, single, profile, chips=4)[0] == pytest.approx(9e-6 + 10e-6 + 1e6 / 12.5e9)
    # Nothing is exchanged with nobody, whatever a floor costs; one chip by itself reaches none over a network.
    assert all_to_all_s(0.0, np.array([0.0, 0.5]), chip(), profile).tolist() == pytest.approx([0, 4.5e-6])
    assert all_to_all_s(2e6, 1.0, servers(1), profile, chips=1)[0] == pytest.approx(9e-6 + 2e6 / 150e9)
    # Of two single chips each sends all of its own to the other.
    assert all_to_all_s(2e6, 1.0, servers(1), profile, chips=2)[0] == pytest.approx(9e-6 + 10e-6 + 2e6 / 12.5e9)


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


def test_small_collectives_take_the_quick_protocol_and_large_ones_the_bulk_one():
    figures = {**PROFILE, "collective_quick_fraction": 0.1, "collective_bulk_s": 30e-6}
    two = software(Choice.of("ideal"), Technology({f"stacks.ideal.{key}": value for key, value in figures.items()}))
    small, large = 1e5, 1e9
    assert all_reduce_s(small, 2, chip(), two)[0] == pytest.approx(5e-6 + small / (300e9 * 0.1))
    assert all_reduce_s(large, 2, chip(), two)[0] == pytest.approx(5e-6 + 30e-6 + large / (300e9 * 0.5))
    # Both take as long where bulk_s = S / W (1 / quick - 1 / full).
    equal = 30e-6 * 300e9 / (1 / 0.1 - 1 / 0.5)
    sizes = np.array([0.99, 1.0, 1.01]) * equal
    slopes = np.diff(all_reduce_s(sizes, 2, chip(), two)) / np.diff(sizes)
    assert slopes == pytest.approx([1 / (300e9 * 0.1), 1 / (300e9 * 0.5)])


def test_an_all_reduce_over_servers_sums_within_and_then_its_share_between(profile):
    size, chips = 64e6, 24
    within = 5e-6 + 6 * (1e-6 + 2e-6) + 2 * 7 / 8 * size / (300e9 * 0.5)
    between = 5e-6 + 10e-6 + 1 * (1e-6 + 3e-6) + 2 * 2 / 3 * (size / 8) / (25e9 * 0.5)
    assert all_reduce_s(size, chips, servers(8), profile)[0] == pytest.approx(within + between)
    gathered = all_gather_s(size, chips, servers(8), profile)[0]
    assert gathered == pytest.approx(within + between - 7 / 8 * size / 150e9 - 2 / 3 * (size / 8) / 12.5e9)


def test_a_group_within_a_server_does_not_see_the_network(profile):
    for chips in (2, 5, 8):
        assert all_reduce_s(64e6, chips, servers(8), profile) == all_reduce_s(64e6, chips, chip(hop_s=2e-6), profile)
    slow = servers(8, 1e9)
    assert all_reduce_s(64e6, 8, slow, profile)[0] < all_reduce_s(64e6, 9, slow, profile)[0]


def test_servers_of_one_chip_have_the_network_alone(profile):
    size, chips = 64e6, 4
    alone = 5e-6 + 10e-6 + 2 * (1e-6 + 3e-6) + 2 * 3 / 4 * size / (25e9 * 0.5)
    assert all_reduce_s(size, chips, servers(1), profile)[0] == pytest.approx(alone)


def test_an_exchange_ends_with_the_slower_of_links_and_network(profile):
    # Of 16 chips in two servers, 8 of the 15 others stand in the other one.
    sent = 30e6
    network = 8 / 15 * sent / (25e9 * 0.5)
    assert all_to_all_s(sent, 2.0, servers(8), profile, chips=16)[0] == pytest.approx(2 * (9e-6 + 10e-6) + network)
    own = 7 / 15 * sent / (300e9 * 0.5)
    assert all_to_all_s(sent, 2.0, servers(8, 9e12), profile, chips=16)[0] == pytest.approx(2 * (9e-6 + 10e-6) + own)
    assert all_to_all_s(sent, 2.0, servers(8), profile, chips=8) == all_to_all_s(sent, 2.0, chip(), profile)


@pytest.mark.parametrize(
    ("stages", "each", "crossing"), [(2, 8, 1), (4, 4, 1), (4, 2, 0), (3, 8, 2), (2, 16, 1), (5, 3, 2)]
)
def test_a_pipeline_crosses_servers_where_the_next_stage_has_no_room(profile, stages, each, crossing):
    size = 1e6
    near = 5e-6 + size / (300e9 * 0.5)
    far = 5e-6 + 10e-6 + size / (25e9 * 0.5)
    wanted = (stages - 1 - crossing) * near + crossing * far
    assert send_s(size, servers(8), profile, stages=stages, chips=each)[0] == pytest.approx(wanted)


def served(chips, **workload):
    what = Workload("w", "llama3_70b", batch=16.0, prompt_tokens=512, output_tokens=64, **workload)
    return serve_chip(ChipSetup(chips, serving_stack="vllm"), what, Technology())


def test_servers_without_bound_or_large_enough_change_nothing():
    one = served("h100_sxm", n_chips=8)
    assert one.machine.nodes is None
    for chips in (8, 64):
        assert served("h100_sxm", n_chips=8, node_chips=chips).inference.decode_s == one.inference.decode_s
    assert served("h100_sxm", n_chips=8, node_chips=4).inference.decode_s > one.inference.decode_s


def test_the_network_of_a_group_is_paid_for():
    near, far = served("h100_sxm", n_chips=8), served("h100_sxm", n_chips=8, node_chips=4, network_gbps=25.0)
    technology = Technology()
    usd, watts = (technology.value(f"deployment.network_{each}_per_gbps") * 25 * 8 for each in ("usd", "w"))
    names = ("deployment_usd", "deployment_tdp_w", "usd_per_million_tokens", "co2e_g_per_million_tokens")
    before, after = (workload_metrics(one, technology, names) for one in (near, far))
    assert after["deployment_usd"] - before["deployment_usd"] == pytest.approx(usd)
    assert after["deployment_tdp_w"] - before["deployment_tdp_w"] == pytest.approx(watts)
    assert all(after[name] > before[name] for name in names)


def test_a_wider_network_is_never_slower_and_a_wide_one_leaves_its_latency():
    times = [served("h100_sxm", n_chips=16, network_gbps=g).inference.decode_s[0] for g in (6.25, 25, 100, 1e6)]
    assert times == sorted(times, reverse=True)
    assert times[-1] > served("h100_sxm", n_chips=16, node_chips=16).inference.decode_s[0]


def test_chips_of_no_server_are_as_fast_in_a_table_with_chips_of_servers():
    work, technology = Workload("w", "llama3_70b", n_chips=16.0, batch=8.0), Technology()
    servers, alone = ChipSetup("mi300x", "fp8"), ChipSetup("mi210", "fp8")
    together = serve_chips((servers, alone), work, technology).inference
    assert technology.library.chip("mi300x").node_chips == 8 and technology.library.chip("mi210").node_chips is None
    for row, one in enumerate((servers, alone)):
        by_itself = serve_chips((one,), work, technology).inference
        for name in ("decode_s", "prefill_s"):
            assert getattr(together, name)[row] == pytest.approx(getattr(by_itself, name)[0], rel=1e-12), name

"""The shipped claims of 2024 to 2026: each has a result, and its direction follows from a bound by hand."""

import pytest

from cost_models.library import shipped_library
from dse.analysis.audit.rates import find_consistent_rates
from dse.analysis.audit.reader import load_claims
from dse.analysis.audit.records import ChipSubject, DesignSubject, RatesSubject, SpaceSubject
from dse.analysis.audit.spaces import joint_set
from dse.analysis.audit.verdicts import ClaimChecker

RETICLE_MM = (26.0, 33.0)
CHANNEL_BITS, FASTEST_GBPS = 16, 10.667


@pytest.fixture(scope="module")
def case():
    return load_claims(shipped_library().directory / "claims_2026.yaml")


@pytest.fixture(scope="module")
def verdicts(case):
    checker = ClaimChecker(case, draws=16)
    known = {name for name, one in case.subjects.items() if isinstance(one, ChipSubject | DesignSubject)}
    return {(one.of, one.metric): checker.judge(one) for one in case.claims if one.of in known}


@pytest.fixture(scope="module")
def sets(case):
    spaces = [one for one in case.subjects.values() if isinstance(one, SpaceSubject)]
    return {one.name: joint_set(one, explain=False) for one in spaces}


def test_every_chip_has_a_result_with_its_source(case, verdicts, sets):
    assert {name.split("_")[0] for name in case.subjects} >= {"asimov", "crescent", "ai200", "corsair", "lpx"}
    assert all(claim.source for claim in case.claims)
    assert not [key for key, one in verdicts.items() if one.finding == "not comparable"]
    for name in ("asimov_half", "crescent_island", "ai200"):
        assert sets[name].found and sets[name].settling, name


@pytest.mark.parametrize(
    ("server", "cards", "workload", "weights", "stated_ms"),
    [("corsair_server", 8, "sixty_8b", 8.03e9, 1.0), ("corsair_rack", 64, "sixty_70b", 70.6e9, 2.0)],
)
def test_lpddr_alone_cannot_give_what_corsair_claims(case, verdicts, server, cards, workload, weights, stated_ms):
    # Reading every weight once from the cards' LPDDR5X takes longer than the stated token.
    read_ms = weights / (cards * 400e9) * 1e3
    assert read_ms > stated_ms
    # From the SRAM, which holds nearly all of it, peak rates allow it: whether it is reached is a matter of software.
    verdict = verdicts[server, f"{workload}.tpot_ms"]
    assert verdict.finding != "impossible" and verdict.bound < stated_ms < 2 * verdict.predicted
    # What a step reads must come faster than from the LPDDR5X, and no faster than from the SRAM.
    subject = case.subjects[f"{server}_rates"]
    assert isinstance(subject, RatesSubject)
    rates = find_consistent_rates(subject, case.of(subject.name)).table
    eight = rates[rates["weight_bits"] == 8]
    assert (eight["gbps_low"] > cards * 400).all() and (eight["gbps_low"] < cards * 150_000).all()


def test_a_trillion_parameters_need_more_than_one_rack_of_sram(verdicts):
    # 1.03e12 parameters in 8 bits against 256 and 1280 chips of 500 MB.
    assert 256 * 500e6 < 1.03e12 / 2 < 1.03e12 / 8 * 4.5 < 1280 * 500e6
    one, five = (verdicts[name, "trillion.chips_needed"] for name in ("lpx_rack", "lpx_racks"))
    assert one.finding == "impossible" and five.finding == "consistent"
    assert one.bound * 0.488 * 2**30 > 1.03e12 / 2


def test_a_side_by_side_pair_of_dies_has_no_edge_for_asimov(sets):
    channels = 3000 * 0.95 * 8 / (CHANNEL_BITS * FASTEST_GBPS)
    needed_mm = channels * shipped_library().parameters["memory.lpddr5x.beachfront_mm"].typ
    pair_mm = 2 * 2 * sum(RETICLE_MM) - 2 * RETICLE_MM[0]  # joined along the short side
    assert needed_mm > 0.98 * pair_mm > 0.9 * needed_mm  # corners are kept free besides
    assert sets["asimov"].found == 0
    half = sets["asimov_half"].table
    assert (half["memory_devices"] * half["memory_device_gib"] == 432).all()
    assert (half["memory_devices"] * half["memory_device_bits"] == 1152).all()


def test_the_bandwidth_of_crescent_island_is_that_of_a_slower_grade(sets):
    found = sets["crescent_island"].table
    # 640 bits at 10.7 Gb/s are 856 GB/s, not 684.
    assert (found["memory_devices"] * found["memory_device_bits"] == 640).all()
    assert set(found["memory"].astype(str)) == {"lpddr5x_8533"}


def test_the_capacity_of_ai200_leaves_its_bandwidth_open(sets):
    rate = sets["ai200"].table["bandwidth_gbps"]
    assert rate.min() < 0.5 * rate.max()
    # Far below the ten times more that its successor is to have over it: 768 GB are read less than twice a second.
    assert rate.max() < 2 * 768 * 2**30 / 1e9

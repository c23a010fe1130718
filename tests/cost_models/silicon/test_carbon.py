import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.library.technology import Technology
from cost_models.silicon.carbon import die_kg, dram_kg, g_per_million_tokens
from cost_models.table import Choice, Table
from dse.evaluator import Evaluator
from dse.sweep import parse_spec

TECHNOLOGY = Technology()


def test_die_by_hand():
    # 1 cm2 of N7 at yield 0.5 in Taiwan: (0.642 x 2.15 kWh + 0.350 + 0.500 kg) / 0.5.
    result = die_kg(Choice.of("tsmc_7", "samsung_5"), np.full(2, 100.0), np.array([0.5, 1.0]), TECHNOLOGY)
    assert result == pytest.approx([(0.642 * 2.15 + 0.35 + 0.5) / 0.5, 0.402 * 2.75 + 0.43 + 0.5])


@given(st.floats(50, 800), st.floats(0.1, 1))
def test_making_rises_with_area_and_with_every_newer_node(die, good):
    nodes = Choice.of("tsmc_28", "tsmc_16", "tsmc_10", "tsmc_7", "tsmc_5", "tsmc_3")
    result = die_kg(nodes, np.full(6, die), good, TECHNOLOGY)
    assert (np.diff(result) > 0).all()
    assert (die_kg(nodes, np.full(6, die * 1.1), good, TECHNOLOGY) > result).all()


def test_memory_by_hand():
    assert dram_kg(np.array([128.0]), np.array([48.0])) == pytest.approx([6.144])


def test_tokens_by_hand():
    # 150 W at 60 % of the time and 50 W in the rest: 110 W at the board, 156.3 W at the wall; 20 kg over five years.
    wall_w = (0.6 * 150 + 0.4 * 50) * 1.35 / 0.95
    making = 20_000 / (5 * 8766 * 3600)
    expected = (wall_w / 3.6e6 * 402 + making) / (0.6 * 500) * 1e6
    assert g_per_million_tokens(20.0, 150.0, 50.0, 500.0, technology=TECHNOLOGY) == pytest.approx(expected)
    assert g_per_million_tokens(0.0, 150.0, 50.0, 500.0, technology=TECHNOLOGY) < expected


def test_designs_and_baselines_have_carbon_and_won():
    spec = parse_spec({
        "name": "green",
        "workloads": {"chat": {"model": "llama3_8b", "batch": 8}},
        "space": {"node": "tsmc_5"},
        "economics": {"krw_per_usd": 1400},
        "objectives": [{"metric": "chat.co2e_g_per_million_tokens", "direction": "minimize"}],
        "constraints": [{"metric": "price_krw", "max": "20_000_000 KRW"}, {"metric": "embodied_kg", "max": "90 kg"}],
        "baselines": {"one": {"chips": "a100_80gb_sxm"}},
        "search": {"sampler": "grid"},
    })  # fmt: skip
    evaluator = Evaluator(spec)
    result = evaluator.evaluate(Table.from_settings({"node": "tsmc_5"})).metrics
    assert result["price_krw"] == pytest.approx(1400 * result["price_usd"])
    assert 5 < result["embodied_kg"][0] < 60
    baseline = evaluator.baselines["one"]
    assert 20 < baseline["embodied_kg"] < 60
    assert baseline["chat.co2e_g_per_million_tokens"] > result["chat.co2e_g_per_million_tokens"][0] > 0

"""A sweep as it is understood: what varies, how long it takes, and what hides in its defaults."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.quantities.parameters import PARAMETERS
from dse.render.terminal import sweep as told
from dse.render.terminal.sweep import (
    design_table,
    hidden_lines,
    margins_table,
    parameters_table,
    sweep_parts,
    told_metrics,
)
from dse.render.terminal.tables import Lines
from dse.space import Space
from dse.sweep import parse_spec
from tests.dse.render.terminal.made import goal, limit, sweep, workload
from tests.sweeps import tiny


@pytest.fixture(scope="module")
def parsed():
    space = {
        "memory": {"values": ["lpddr5x_9600", "hbm3"]},
        "memory_devices": {"low": 1, "high": 12, "step": 1},
        "memory_device_bits": {"values": [32, 64], "when": {"memory": "lpddr5x_9600"}},
        "memory_device_gib": [
            {"values": [8, 16], "when": {"memory": ["lpddr5x_9600"]}},
            {"values": [16], "when": {"memory": ["hbm3"]}},
        ],
        "macs": {"low": 1024, "high": 65536, "log": True},
        "clock_ghz": {"low": 0.5, "high": 1.5},
        "sram_mib": {"values": [float(k) for k in range(1, 14)]},
        "weight_format": "fp8",
        "kv_bits": {"values": [8]},
    }  # fmt: skip
    spec = parse_spec(tiny(space=space, search={"sampler": "sobol", "n_designs": 256}))
    return spec, Space(spec)


def test_what_varies_over_which_values(parsed):
    spec, space = parsed
    rows = {row[0]: row for row in parameters_table(space, spec).cells if row[0] != "memory_device_gib"}
    assert {*rows} == {
        "memory", "memory_devices", "memory_device_bits", "macs", "clock_ghz", "sram_mib",
    }  # fmt: skip
    assert rows["memory"] == ("memory", "", "lpddr5x_9600, hbm3", "2", "")
    # Twelve values are written out, thirteen are not.
    assert rows["memory_devices"][2:4] == ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12", "12")
    assert rows["sram_mib"] == ("sram_mib", "MiB", "1 to 13", "13", "")
    assert rows["memory_device_bits"] == ("memory_device_bits", "bit", "32, 64", "2", "memory: lpddr5x_9600")
    assert rows["clock_ghz"] == ("clock_ghz", "GHz", "0.5 to 1.5", "any", "")
    assert rows["macs"][2].endswith(" to 65 536 (log)") and rows["macs"][2].startswith("1 024")
    several = [row for row in parameters_table(space, spec).cells if row[0] == "memory_device_gib"]
    assert [row[2:] for row in several] == [("8, 16", "2", "memory: lpddr5x_9600"), ("16", "1", "memory: hbm3")]


def made_space(**changes):
    return SimpleNamespace(**{"grid_size": 320, "is_enumerable": True, "dimensions": ("a", "b"), **changes})


def test_how_a_space_is_searched(monkeypatch):
    def said(sampler, n_designs, planned, **changes):
        search = SimpleNamespace(sampler=sampler, n_designs=n_designs, seed=3, stages=(sampler,))
        monkeypatch.setattr(told, "planned_designs", lambda search, space: planned)
        return told._search_words(sweep(search=search), made_space(**changes))

    assert said("grid", None, 320) == "grid over a grid of 320 designs in 2 dimensions: all of them, seed 3"
    for sampler, n_designs, planned, count in (
        ("grid", 100, 320, "all of them"), ("sobol", None, 320, "all of them"), ("sobol", 256, 256, "256 designs"),
        ("sobol", 200, 256, "256 designs (200 asked for; Sobol points come in powers of two)"),
    ):  # fmt: skip
        assert said(sampler, n_designs, planned).endswith(f" in 2 dimensions: {count}, seed 3")
    assert said("random", 1, 1, dimensions=("a",), is_enumerable=False) == (
        "random over a continuous space in 1 dimension: 1 design, seed 3"
    )


def test_how_long_a_search_takes():
    spec = sweep(search=SimpleNamespace(stages=("sobol", "tpe", "nsgaii")))
    slower = [f"{name} asks Optuna design by design, which takes longer than that" for name in ("tpe", "nsgaii")]
    # A search takes up to twice its evaluations; the unit is the longest of which that is two.
    for least, words in (
        (0.999, "about a second on this machine"), (1.0, "about 1 to 2 s on this machine"),
        (59.0, "about 59 to 118 s on this machine"), (60.0, "about 1 to 2 min on this machine"),
        (90.0, "about 1.5 to 3 min on this machine"),
        (1.2345, "about 1.2 to 2.5 s on this machine"), (3600.0, "about 1 to 2 h on this machine"),
        (36000.0, "about 10 to 20 h on this machine"),
    ):  # fmt: skip
        assert told._time_words(spec, least) == [words, *slower]
    assert told._time_words(sweep(search=SimpleNamespace(stages=("grid", "sobol", "random", "evolve"))), 0.5) == [
        "about a second on this machine"
    ]


def judged(metrics=None, margins=None):
    return SimpleNamespace(
        metrics={name: np.array([value, -1.0]) for name, value in (metrics or {}).items()},
        margins={name: np.array([value, -1.0]) for name, value in (margins or {}).items()},
    )


def test_defaults_that_decide():
    alone, shared = {"chat": workload()}, {"chat": workload(n_chips=2), "live": workload(), "more": workload(n_chips=3)}
    link = "link_gbps is 0 by default: no chip reaches another, and no design is feasible; put link_gbps into space"
    assert PARAMETERS["link_gbps"].default == 0
    for workloads, space, lines in (
        (alone, {}, []), (shared, {}, [f"several chips serve chat, more, but {link}"]), (shared, {"link_gbps": 1}, []),
        (alone, {"chat.n_chips": 1}, [f"several chips serve chat, but {link}"]),
    ):  # fmt: skip
        assert hidden_lines(sweep(workloads=workloads, space=space, places={}), judged()) == lines
    heat = [f"cooling is {PARAMETERS['cooling'].default} by default, and the default design misses heat_w_per_mm2"]
    for margin, space, lines in ((-0.5, {}, heat), (0.0, {}, []), (-0.5, {"cooling": 1}, [])):
        assert hidden_lines(sweep(space=space, places={}), judged(margins={"heat_w_per_mm2": margin})) == lines
    prices = [
        "prices rest on economics that the sweep does not set: 1 000 boards, margin 50 %, 25 % of the node's design NRE"
    ]
    for goals, limits, places, lines in (
        (["price_usd"], [], {"space": 1}, prices), (["cost_usd"], ["price_krw <= 5"], {"space": 1}, prices),
        (["cost_usd"], [], {"space": 1}, []), (["price_usd"], [], {"economics": 1}, []), (["price_usd"], [], {}, []),
    ):  # fmt: skip
        spec = sweep(objectives=[goal(one) for one in goals], constraints=[limit(one) for one in limits], places=places)
        assert hidden_lines(spec, judged()) == lines


def test_the_default_design_beside_the_baselines():
    metrics = {"chat.tpot_ms": 8.0, "tdp_w": 100.0, "chat.decode_w": 90.0, "load_s": 3.0}
    table = design_table(sweep(), {"a100": dict.fromkeys(metrics, 7.0)}, judged(metrics))
    assert table.headings == ("", "unit", "default design", "a100") and table.cells == (
        ("chat.tpot_ms", "ms", "8", "7"), ("tdp_w", "W", "100", "7"), ("chat.decode_w", "W", "90", "7"),
    )  # fmt: skip
    assert margins_table(judged(margins={"a": 0.5, "b": 0.0, "c": -0.25})).cells == (
        ("a", "+50.0", "yes"), ("b", "+0.0", "yes"), ("c", "-25.0", "NO"),
    )  # fmt: skip
    assert told_metrics(sweep()) == {
        "chat.tpot_ms", "cost_usd", "die_mm2", "tdp_w", "price_usd", "chat.decode_w", "chat.memory_gib",
        "chat.perplexity_extrapolated",
    }  # fmt: skip


def test_a_sweep_part_by_part(parsed):
    spec, space = parsed
    metrics = {**dict.fromkeys(told_metrics(spec), 2.0), "chat.perplexity_extrapolated": 1.0}
    parts = sweep_parts("x.yaml", spec, space, {}, judged(metrics, {"a": 0.5}), seconds=0.5, remarks=["a remark"])
    heads = [part.heading if isinstance(part, Lines) else part.title for part in parts]
    assert heads == [
        "tiny: x.yaml is a valid sweep", "Search", "What varies", "Mind", "Fixed", "The default design",
        "The default design and the baselines, one chip's area, power and price", "",
        "Does the default design meet the limits?", "Baselines",
    ]  # fmt: skip
    assert parts[1].lines[1:] == ["about a second on this machine", "a remark"]
    assert {*parts[4].lines} == {"weight_format = fp8", "kv_bits = 8"}
    design, unseen = parts[5].lines
    assert "memory lpddr5x_9600" in design and "weight_format fp8" in design and "second_memory_devices" not in design
    assert unseen == "perplexity is extrapolated beyond what has been measured: chat"
    assert parts[7].lines[0].startswith("Costs 2 USD, price 2 USD:") and parts[9].lines == []

"""What the use of a parameter is looked for in: designs that set one thing each, and chips, at every value."""

from types import SimpleNamespace

import numpy as np
import pytest

from cost_models.errors import UnknownEntryError
from cost_models.library import shipped_library
from cost_models.quantities.parameters import PARAMETERS
from dse.uncertainty import usage
from dse.uncertainty.usage import _moved, _probes, probe_sweeps

LIBRARY = shipped_library()
BASE = {"link_gbps": 100.0, "memory_devices": 8.0, "memory_device_gib": 16.0}


def test_probes_set_one_thing_beside_the_default_design():
    expected = {"the default design": {}}
    for axis, names in (
        ("node", LIBRARY.nodes), ("mac_format", LIBRARY.mac_formats), ("weight_format", LIBRARY.weight_formats),
        ("serving_stack", LIBRARY.stacks), ("architecture", ("programmable", "static")), ("cooling", ("liquid",)),
    ):  # fmt: skip
        expected |= {name: {axis: name} for name in names}
    for name, grade in LIBRARY.memory_grades.items():
        device = LIBRARY.memories[grade.technology]
        # As large packages as are made, and a decoder where memory multiplies.
        sizes = {"memory_device_gib": max(device.package_gib), "memory_device_bits": max(device.package_bits)}
        expected[name] = {"memory": name, **sizes, **({"memory_decoder": 1.0} if device.near_operands else {})}
    expected |= {f"two dies, {name}": {"dies": 2.0, "die_link": name} for name in PARAMETERS["die_link"].names}
    expected["kv_bits 4, spare cores"] = {"kv_bits": 4.0, "spare_cores": 2.0}
    expected["one chip of much clock"] = {"clock_ghz": 2.0}
    for name in ("rtn", "gptq", "omniquant"):
        expected[f"weight_method {name}"] = {"weight_format": "int3_g128", "weight_method": name}
    for name in ("scaled", "rotated", "floating"):
        expected[f"act_method {name}"] = {"weight_format": "mxfp4", "act_bits": 4.0, "act_method": name}
    for name in ("rotated", "grouped", "calibrated"):
        expected[f"kv_method {name}"] = {"kv_bits": 3.0, "kv_method": name}
    assert _probes(LIBRARY) == {name: {**BASE, **own} for name, own in expected.items()}


def test_sweeps_of_probes_serve_batches_users_and_talkers():
    (probe, many), (pools, pooled), (sessions, talking) = probe_sweeps(())
    assert probe_sweeps(()) is probe_sweeps(()) and many == _probes(LIBRARY)
    assert {name: (one.batch, one.n_chips) for name, one in probe.workloads.items()} == {
        "chat": (32, 2),
        "experts": (4, 2),
    }
    assert len(probe.baselines) == 7 and all(one.count == 2 for one in probe.baselines.values())
    assert [list(one.values()) for one in (pooled, talking)] == [
        [{"memory_devices": 8.0, "memory_device_gib": 16.0}]
    ] * 2
    users, talkers = pools.workloads["users"], sessions.workloads["talkers"]
    assert (
        pools.deployment.chips == "1x h100_sxm" if hasattr(pools.deployment, "chips") else pools.deployment is not None
    )
    assert (users.ttft_limit_ms, users.tpot_limit_ms) == (talkers.ttft_limit_ms, talkers.tpot_limit_ms) == (2000, 50)
    told = talkers.sessions
    assert (told.turns, told.think_s, told.tier, told.tier_gib) == (6, 60, "ddr5", 16)
    assert (talkers.prompt_tokens, talkers.output_tokens) == (512, 256)


def test_a_parameter_is_moved_in_every_probe_and_baseline(monkeypatch):
    class Made:
        def __init__(self, spec, parameters):
            ((path, self.values),) = parameters.items()
            assert path == "a.b"

        def evaluate(self, table):
            metrics = {"cost": table["macs"] * self.values, "fixed": np.array([7.0])}
            return SimpleNamespace(metrics=metrics, margins={"limit": -table["macs"]})

        def baseline_columns(self, entry):
            return {"cost": entry * self.values, "fixed": np.array([5.0])}

    first = SimpleNamespace(baselines={"pair": 100.0, "more": 200.0})
    second = SimpleNamespace(baselines={"none": 0.0})
    sweeps = ((first, {"one": {"macs": 1.0}, "two": {"macs": 2.0}}), (second, {"three": {"macs": 3.0}}))
    monkeypatch.setattr(usage, "Evaluator", Made)
    monkeypatch.setattr(usage, "probe_sweeps", lambda added: sweeps)
    found = [
        (name, {metric: at.tolist() for metric, at in one.items()})
        for name, one in _moved((), "a.b", np.array([1.0, 2.0, 4.0]))
    ]
    # Baselines are those of the first sweep.
    assert found == [
        ("one", {"cost": [1, 2, 4], "fixed": [7] * 3, "margin of limit": [-1] * 3}),
        ("two", {"cost": [2, 4, 8], "fixed": [7] * 3, "margin of limit": [-2] * 3}),
        ("three", {"cost": [3, 6, 12], "fixed": [7] * 3, "margin of limit": [-3] * 3}),
        ("2x pair", {"cost": [100, 200, 400], "fixed": [5] * 3}),
        ("2x more", {"cost": [200, 400, 800], "fixed": [5] * 3}),
    ]


@pytest.mark.parametrize(
    ("metric", "ends", "change"),
    [
        ("cost", (8, 10, 11), 0.2), ("cost", (10, 10, 15), 0.5), ("cost", (-3, -2, -2), 0.5), ("cost", (1, 0, 3), 3),
        ("margin of tdp_w", (8, 10, 11), 2), ("cost", (np.nan, 10, 11), 0.1), ("cost", (np.nan, 1, np.nan), 0),
        ("cost", (np.inf, 1, 1), 0),
    ],
)  # fmt: skip
def test_a_use_is_the_larger_move_over_the_typical_value(metric, ends, change):
    assert usage.Use(metric, "", *ends).change == pytest.approx(change)


def test_uses_are_the_largest_moves_of_each_metric_and_margins_stand_last(monkeypatch):
    asked = []
    told = [
        ("one", {"cost": [9, 10, 11], "time": [1, 1, 1], "margin of x": [0, 0, 5], "b": [1, 1, 1.5], "a": [1, 1, 1.5]}),
        ("two", {"cost": [8, 10, 11], "time": [1, 1, 1 + 5e-10], "margin of x": [0, 0, 1], "b": [1, 1, 1.5]}),
        ("three", {"cost": [10, 10, 10.5], "time": [1, np.nan, 1]}),
    ]

    def moved(added, path, values):
        asked.append(values)
        return [(name, {metric: np.array(at, float) for metric, at in cells.items()}) for name, cells in told]

    monkeypatch.setattr(usage, "_moved", moved)
    monkeypatch.setattr(usage, "probe_sweeps", lambda added: ((SimpleNamespace(library=()), {}),))
    ranged = next(path for path, one in LIBRARY.parameters.items() if one.low is not None and one.high is not None)
    fixed = next(path for path, one in LIBRARY.parameters.items() if one.low is None and path not in LIBRARY.evidence)
    found = usage.uses_of(ranged)
    assert [(one.metric, one.seen_in) for one in found] == [
        ("a", "one"), ("b", "one"), ("cost", "two"), ("margin of x", "one"),
    ]  # fmt: skip
    usage.uses_of(fixed)
    one, typ = LIBRARY.parameters[ranged], LIBRARY.parameters[fixed].typ
    assert asked[0].tolist() == [one.low, one.typ, one.high] and asked[1].tolist() == [typ * 0.9, typ, typ * 1.1]
    with pytest.raises(UnknownEntryError, match="no_such"):
        usage.uses_of("no_such.path")
    evidence = next(iter(LIBRARY.evidence), None)
    assert evidence is None or usage.uses_of(evidence) == []


def test_probes_differ_from_the_default_design_in_one_thing_each():
    probes = usage._probes(LIBRARY)
    base = probes["the default design"]
    assert base == {"link_gbps": 100.0, "memory_devices": 8.0, "memory_device_gib": 16.0}
    for name, design in probes.items():
        assert {key: design[key] for key in base if key in design} == base or design["memory"] == name
    axes = {axis for design in probes.values() for axis in design}
    assert axes >= {"node", "mac_format", "weight_format", "serving_stack", "architecture", "cooling", "dies"}
    assert {design.get("memory_decoder") for design in probes.values()} == {None, 1.0}
    assert probes["kv_bits 4, spare cores"] == {**base, "kv_bits": 4.0, "spare_cores": 2.0}
    assert all(design["dies"] == 2 for name, design in probes.items() if name.startswith("two dies"))
    assert probes["one chip of much clock"]["clock_ghz"] == 2

"""How axes are extended beyond what a sweep declares, against a made library of two memories and three links."""

from types import SimpleNamespace

import pytest

from cost_models.quantities.parameters import PARAMETERS
from dse.analysis.relaxation import axes
from dse.analysis.relaxation.axes import _extended, _is_fixed, linked, widened_axes
from dse.errors import NOWHERE, Issue, SpecError
from dse.sweep import parse_spec
from tests.sweeps import tiny

LIBRARY = SimpleNamespace(
    memories={
        "a": SimpleNamespace(package_gib=(16, 8), package_bits=(64,)),
        "b": SimpleNamespace(package_gib=(24, 8), package_bits=(1024, 32)),
    },
    memory_grades={"lpddr5x_9600": 0, "hbm3": 0, "gddr6_16": 0},
    chips={str(speed): SimpleNamespace(link_gbps=speed) for speed in (900, 50, None, 450, 50)},
    weight_formats={name: SimpleNamespace(hypothetical=name == "bf16") for name in ("int4_g128", "fp8", "bf16")},
)


def extended(name, declared):
    space = {"memory": "hbm3", "memory_devices": 8, "memory_device_gib": 16, name: declared}
    (entry,) = parse_spec(tiny(space=space, search={"sampler": "sobol", "n_designs": 8})).space[name]
    return _extended(PARAMETERS[name], entry, LIBRARY)


@pytest.mark.parametrize(
    ("name", "declared", "wide", "words"),
    [
        ("macs", {"low": 8192, "high": 131072, "log": True, "levels": 5},
         {"low": 2048, "high": 524288, "log": True, "type": "int", "levels": 10}, "2048 to 524288"),
        ("clock_ghz", {"low": 0.5, "high": 1.5},
         {"low": 0.125, "high": 6, "log": False, "type": "float"}, "0.125 to 6"),
        # A step is kept, and with it the values that there are already.
        ("memory_devices", {"low": 10, "high": 21, "step": 2},
         {"low": 4, "high": 84, "log": False, "type": "int", "step": 2}, "3 to 84"),
        ("memory_devices", {"low": 2, "high": 5, "step": 1},
         {"low": 1, "high": 20, "log": False, "type": "int", "step": 1}, "1 to 20"),
        ("kv_bits", {"low": 8, "high": 16},
         {"low": 2, "high": min(64, PARAMETERS["kv_bits"].high), "log": False, "type": "int"},
         f"2 to {min(64, PARAMETERS['kv_bits'].high):g}"),
    ],
)  # fmt: skip
def test_a_range_ends_at_four_times_and_a_quarter(name, declared, wide, words):
    assert extended(name, declared) == ({**wide, "type": wide["type"]}, words)


def test_names_are_all_of_the_library_that_are_real():
    assert extended("memory", {"values": ["hbm3"]}) == (
        {"values": ["hbm3", "lpddr5x_9600", "gddr6_16"]}, "lpddr5x_9600, gddr6_16",
    )  # fmt: skip
    assert extended("weight_format", "int4_g128") == ({"values": ["int4_g128", "fp8"]}, "fp8")
    assert extended("cooling", "air") == ({"values": ["air", "liquid"]}, "liquid")
    assert extended("cooling", {"values": ["liquid", "air"]}) is None


def test_links_are_those_of_chips_that_are_faster():
    assert extended("link_gbps", 50) == ({"values": [50, 450, 900]}, "450 to 900")
    assert extended("link_gbps", {"values": [10, 450]}) == ({"values": [10, 450, 900]}, "900 to 900")
    assert extended("link_gbps", 900) is None


def test_numbers_are_extended_by_factors_on_either_side():
    declared, words = extended("macs", {"values": [1024, 4096]})
    # Eight on each side, even in ratios, the ends and what is declared among them.
    ratio = 4 ** (1 / 7)
    numbers = {round(256 * ratio**k) for k in range(8)} | {round(4096 * ratio**k) for k in range(8)}
    assert declared["values"] == sorted(numbers) and all(isinstance(one, int) for one in declared["values"])
    assert words == "256 to 16384"
    declared, words = extended("sram_mib", {"values": [100]})
    numbers = {float(f"{25 * ratio**k:.4g}") for k in range(8)} | {float(f"{100 * ratio**k:.4g}") for k in range(8)}
    assert declared["values"] == pytest.approx(sorted(numbers)) and words == "25 to 400"
    assert all(one == float(f"{one:.4g}") for one in declared["values"])


def test_packages_are_those_that_are_made_and_zero_has_no_factor():
    assert extended("memory_device_gib", 16) == ({"values": [8, 16, 24]}, "8 to 24")
    assert extended("memory_device_gib", {"values": [24, 8, 16]}) is None
    assert extended("memory_device_bits", 64) == ({"values": [32, 64, 1024]}, "32 to 1024")
    assert extended("spare_cores", {"values": [0, 2]}) is None
    assert extended("spare_cores", {"values": [1, 2]}) is not None


def test_a_wider_sweep_differs_in_one_axis_whose_conditions_stay():
    spec = parse_spec(tiny())
    found = {axis: (words, wider) for axis, words, wider in widened_axes(spec)}
    assert not {"serving_stack", "act_bits", "act_method", "architecture", "link_gbps"} & set(found)
    words, wider = found["memory_devices"]
    assert words == "1 to 64" and wider.space["memory_devices"][0].bounds == (2, 64)
    for axis, entries in parse_spec(spec.resolved()).space.items():
        if axis != "memory_devices":
            assert wider.space[axis] == entries, axis
    whens = [entry.when for entry in found["memory_device_gib"][1].space["memory_device_gib"]]
    assert whens == [entry.when for entry in spec.space["memory_device_gib"]] and all(whens)
    # Alternatives that cannot grow stay as they are beside those that can.
    sizes = sorted({size for one in whole_library().memories.values() for size in one.package_gib})
    some = {"values": sizes, "when": {"memory": ["hbm3"]}}
    other = {"values": [8], "when": {"memory": ["lpddr5x_9600"]}}
    space = {**tiny()["space"], "memory": {"values": ["hbm3", "lpddr5x_9600"]}, "memory_device_gib": [some, other]}
    mixed = {axis: wider for axis, _, wider in widened_axes(parse_spec(tiny(space=space)))}
    assert [list(one.values) for one in mixed["memory_device_gib"].space["memory_device_gib"]] == [sizes, sizes]


def whole_library():
    from cost_models.library import shipped_library

    return shipped_library()


def test_links_are_an_axis_where_chips_share_a_workload():
    one, two = (tiny(workloads={"chat": {**tiny()["workloads"]["chat"], "n_chips": chips}}) for chips in (1, 2))
    swept = tiny(space={**tiny()["space"], "chat.n_chips": {"values": [1, 2]}})
    assert [linked(parse_spec(sweep)) for sweep in (one, two, swept)] == [False, True, True]
    alone, found = ({axis: words for axis, words, _ in widened_axes(parse_spec(sweep))} for sweep in (one, two))
    assert set(found) - set(alone) == {"link_gbps"} and alone.items() <= found.items()
    speeds = sorted({chip.link_gbps for chip in whole_library().chips.values() if chip.link_gbps})
    assert found["link_gbps"] == f"{speeds[0]:g} to {speeds[-1]:g}"


def test_an_axis_against_which_the_sweep_speaks_is_left_out_and_others_are_not(monkeypatch):
    spec = parse_spec(tiny(space={**tiny()["space"], "chat.n_chips": {"values": [1, 2]}}))
    names = [axis for axis, _, _ in widened_axes(spec)]
    assert not any("." in axis for axis in names) and "link_gbps" in names

    def parse(data, *, metrics):
        if isinstance(data["space"]["macs"], list):
            raise SpecError([Issue(NOWHERE, "space.macs", "cannot be")])
        return spec

    monkeypatch.setattr(axes, "parse_spec", parse)
    # Defaults are no axes of a sweep that does not write them out, as this one reads.
    assert [axis for axis, _, _ in widened_axes(spec)] == [one for one in names if one in spec.space and one != "macs"]


def test_what_the_user_fixed_is_told_from_defaults_as_far_as_they_differ():
    spec = parse_spec(tiny(space={**tiny()["space"], "kv_bits": 16, "cooling": "air"}))
    whole = parse_spec(spec.resolved())
    names = ("kv_bits", "cooling", "macs", "memory", "memory_device_gib", "sram_mib")
    assert [_is_fixed(spec, name) for name in names] == [True, True, False, False, False, False]
    # Written out in full a default is no choice.
    assert [_is_fixed(whole, name) for name in names] == [True, False, False, False, False, False]

"""Defaults that stop a sweep are told, and what the user fixed is not touched by what would help."""

import pytest

from dse.analysis.explain.inputs import explain_library_chip
from dse.analysis.relaxation.axes import widened_axes
from dse.analysis.relaxation.constraints import explain_infeasible
from dse.sweep import parse_spec
from tests.sweeps import tiny

PAIR = {"chat": {"model": "llama3_8b", "batch": 16, "prompt_tokens": 512, "output_tokens": 256, "n_chips": 2}}


def test_chips_without_links_are_told_by_check_and_named_as_what_would_help(call, tmp_path, monkeypatch):
    import yaml

    monkeypatch.chdir(tmp_path)
    sweep = tiny(workloads=PAIR, constraints=[])
    (tmp_path / "pair.yaml").write_text(yaml.safe_dump(sweep))
    status, out, _ = call("check", "pair.yaml")
    assert status == 0 and "link_gbps is 0 by default" in out
    axis_extensions = {one.axis: one for one in explain_infeasible(parse_spec(sweep)).axis_extensions}
    assert axis_extensions["link_gbps"].feasible and axis_extensions["link_gbps"].value > 0
    sweep["space"]["link_gbps"] = 100
    (tmp_path / "linked.yaml").write_text(yaml.safe_dump(sweep))
    assert "by default" not in call("check", "linked.yaml")[1]


def test_what_the_user_fixed_is_left_alone_and_defaults_are_not():
    spec = parse_spec(tiny(space={**tiny()["space"], "node": "tsmc_5", "kv_bits": 16}))
    axes = {axis for axis, _, _ in widened_axes(spec)}
    assert not {"node", "kv_bits", "link_gbps"} & axes and {"memory", "cooling", "sram_mib", "macs"} <= axes
    # Written out in full, a sweep tells a choice from a default by its value alone.
    whole = {axis for axis, _, _ in widened_axes(parse_spec(spec.resolved()))}
    assert "kv_bits" not in whole and {"cooling", "sram_mib"} <= whole


def test_prices_without_terms_are_told_to_rest_on_defaults(call, tmp_path):
    import yaml

    bare = tiny(constraints=[{"metric": "price_usd", "max": 3000}])
    for name, sweep, reported in (("bare", bare, True), ("set", {**bare, "economics": {"nre_share": 0.3}}, False)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(sweep))
        assert ("prices rest on economics" in call("check", tmp_path / f"{name}.yaml")[1]) == reported


@pytest.mark.parametrize("chips, batch", [(1, 32), (3, 256)])
def test_what_does_not_fit_says_how_many_chips_hold_it(call, chips, batch):
    words = f"{chips}x a100_80gb_sxm"
    result = explain_library_chip(words, [f"llama2_70b batch={batch}"])
    holders = result.holders["llama2_70b"]
    assert set(holders) == {"tensor", "pipeline"}
    for split, count in holders.items():
        for tried, fits in ((count, True), (count - 1, False)):
            workload = f"llama2_70b batch={batch} parallelism={split}"
            assert explain_library_chip(f"{tried}x a100_80gb_sxm", [workload]).workloads["llama2_70b"].fits == fits
    out = call("explain", words, "--workload", f"llama2_70b batch={batch}")[1]
    table = result.workloads["llama2_70b"]
    assert f"{table.most_loaded_gib - table.capacity_gib:.4g} GiB too much" in " ".join(out.split())
    # Times that are not there take no place; of the chip alone some metrics are not published.
    assert "n/a" not in out.split("\nMetrics")[0]


DESIGN = """
name: my_chip
workloads: {chat: {model: llama3_8b, batch: 4}}
design: {memory: hbm3, memory_devices: 2, memory_device_gib: 16, macs: 65536}
baselines: {b200: {chips: 1x b200}, mi300x: {chips: 1x mi300x}}
"""


def test_a_design_file_is_compared_with_its_baselines_by_every_command(call, tmp_path):
    file = tmp_path / "my_chip.yaml"
    file.write_text(DESIGN)
    compared = call("compare", file, "--baseline", "1x h100_sxm")
    assert compared.status == 0 and all(name in compared.out for name in ("my_chip", "b200", "mi300x", "h100_sxm_1"))
    explained = call("explain", file)
    assert explained.status == 0 and all(name in explained.out for name in ("my_chip", "b200", "mi300x"))

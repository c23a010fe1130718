"""Sweeps at the edge of having anything to search, and results beside which something fails."""

import json
from typing import Any

import pytest

from tests.cli import call

DESIGN = {"memory": "lpddr5x_9600", "memory_device_gib": 8, "memory_devices": 4, "macs": 8192}
CHEAP = [{"metric": "cost_usd", "direction": "minimize"}]
FAST_TOO = [*CHEAP, {"metric": "chat.tpot_ms", "direction": "minimize"}]
TOO_SMALL = {"memory": "gddr6_16", "memory_device_gib": 1}

CORNERS: dict[str, tuple[dict[str, Any], int, int]] = {
    # What the sweep says, designs on the front, exit status.
    "one axis": ({"space": {**DESIGN, "memory_devices": {"values": [4, 8, 12]}}}, 3, 0),
    "one axis of names": ({"space": {**DESIGN, "weight_format": {"values": ["int4_g128"]}}}, 1, 0),
    "no axis": ({"space": DESIGN}, 1, 0),
    "no axis, nothing feasible": ({"space": DESIGN, "constraints": [{"metric": "cost_usd", "max": 1}]}, 0, 3),
    "nothing holds the model": ({"space": {**DESIGN, **TOO_SMALL, "memory_devices": {"values": [1, 2]}}}, 0, 3),
    "one axis, one objective": (
        {"space": {**DESIGN, "memory_devices": {"values": [4, 8]}}, "objectives": CHEAP}, 1, 0,
    ),
}  # fmt: skip


def sweep(path, **changes):
    data = {
        "name": "corner",
        "workloads": {"chat": {"model": "llama3_8b", "batch": 1, "prompt_tokens": 256, "output_tokens": 64}},
        "objectives": FAST_TOO,
        "search": {"sampler": "grid"},
        **changes,
    }
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("corner", CORNERS)
def test_a_run_at_the_edge_ends_with_all_that_a_run_has(corner, tmp_path):
    changes, front, status = CORNERS[corner]
    out = tmp_path / "out"
    ended = call("run", sweep(tmp_path / "corner.yaml", **changes), "--out", out)
    assert (ended.status, ended.err) == (status, "")
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts["front"] == front
    assert (out / "report.html").exists() and (out / "picks.yaml").exists()
    assert list((out / "plots").glob("*.png"))


def found(out):
    """What a run prints of its result, without the time it took and where its files lie."""
    return [line for line in out.partition("they differ in")[0].splitlines() if "designs/s" not in line]


def test_a_picture_that_fails_says_so_and_hides_nothing(tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no room for\nany axis")

    file = sweep(tmp_path / "corner.yaml", space={**DESIGN, "memory_devices": {"values": [4, 8, 12]}})
    whole = call("run", file, "--out", tmp_path / "whole")
    monkeypatch.setattr("dse.render.plots.pareto.draw_pareto", broken)
    monkeypatch.setattr("dse.render.report.write_report", broken)
    ended = call("run", file, "--out", tmp_path / "out")
    assert ended.status == 0
    assert ended.err.splitlines() == [
        "dse: the report failed: ZeroDivisionError: no room for any axis",
        "dse: the plot pareto failed: ZeroDivisionError: no room for any axis",
    ]
    assert found(ended.out) == found(whole.out)
    sampled, all_drawn = ({path.name for path in (tmp_path / run / "plots").iterdir()} for run in ("out", "whole"))
    assert sampled and {name.split("-")[0] for name in all_drawn - sampled} == {"pareto"}
    # Asked for a picture by name, its failure is that of the command.
    with pytest.raises(ZeroDivisionError):
        from dse.render.plots import plot_run

        plot_run(tmp_path / "out", kinds=["pareto"])

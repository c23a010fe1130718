"""What every kind of picture shows, as places, looks and words, against what was looked at and stored.

``tests/snapshot/README.md`` says how to write them anew.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import cost_models.library
from tests.cli import call
from tests.snapshot.drawn import drawn
from tests.snapshot.files import told_files
from tests.snapshot.made import MACHINES, make
from tests.snapshot.told import assert_same

MEASUREMENTS = Path(next(iter(cost_models.library.__path__))) / "measurements"

pytestmark = pytest.mark.stored

COMMANDS = {
    "served": "plot runs/served",
    "none": "plot runs/none",
    "alone": "plot runs/alone --kind pareto --kind parallel",
    "grown": "plot runs/grown --kind hypervolume --kind pareto",
    "pair": "plot runs/served --x memory_devices --y chat.ttft_ms --by memory",
    "names": "plot runs/served --x memory --y chat.tpot_ms --by cost_usd",
    "curve": "explain '2x a100_80gb_sxm weight_format=bf16' --workload 'llama2_70b batch=32' --plots {out}",
    "timeline": "explain runs/served knee --simulate --plots {out}",
    "choose": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --max tpot_ms=9 --plots {out}",
    "require": "require served.yaml --plots {out}",
    "validate": "validate --measurements open.csv --measurements energy_open.csv --measurements micro_open.csv "
    "--measurements mlperf_open.csv --plots {out} --out {out}",
    "audit": "audit machines.yaml --out {out}",
    "pools": "plot runs/pools --kind breakdown --kind roofline --kind floorplan",
}
"""What draws, by the name that what it draws is stored under."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with sweeps, their runs and what else is drawn."""
    where = tmp_path_factory.mktemp("pictures")
    make(where, "served", "none", "alone", "grown", "pools")
    for name, of_source in (("open", 3), ("energy_open", 4), ("micro_open", 2), ("mlperf_open", 4)):
        rows = pd.read_csv(MEASUREMENTS / f"{name}.csv", dtype=str, keep_default_na=False)
        rows.groupby("source_id").head(of_source).to_csv(where / f"{name}.csv", index=False)
    (where / "machines.yaml").write_text(json.dumps(MACHINES))
    assert call("robust", where / "runs" / "served", "--draws", 8, "--draw", "none", "-q").status == 0
    return where


@pytest.mark.parametrize("name", COMMANDS)
def test_pictures_show_what_was_looked_at(name, folder, file_regression, monkeypatch):
    shown = {}

    def told(canvas, path, **_):
        shown[Path(path).name.removeprefix(".").removesuffix(".partial")] = drawn(canvas.figure)
        Path(path).touch()

    monkeypatch.chdir(folder)
    monkeypatch.setattr(FigureCanvasAgg, "print_png", told)
    monkeypatch.setenv("COLUMNS", "80")
    status, out, err = call(*shlex.split(COMMANDS[name].format(out=f"out_{name}")))
    assert status == 0, err
    text = out + "".join(f"# {key}\n{shown[key]}\n" for key in sorted(shown))
    text += told_files([path for path in sorted(Path(f"out_{name}").glob("*")) if path.suffix != ".png"])
    file_regression.check(text, basename=name, check_fn=assert_same(1e-3, 0.006, 0))

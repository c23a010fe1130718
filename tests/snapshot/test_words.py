"""What every command prints, and what runs, tables and the report hold, against what was looked at and stored.

``tests/snapshot/README.md`` says how to write them anew.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli import call
from tests.dse.cli.test_commands import CLAIMS, ROWS
from tests.snapshot.made import HOLES, make
from tests.snapshot.told import assert_same

COMMANDS = {
    # A run as it ends, and looked at again.
    "run": "run rich.yaml --draw none --no-report --out {out}",
    "run_none": "run none.yaml --draw none --no-report --out {out}",
    "run_alone": "run alone.yaml --draw none --no-report --full --out {out}",
    "resume": "resume runs/alone",
    "merge": "merge runs/none runs/other --draw none --no-report --out {out}",
    "show": "show runs/rich --top 2",
    "show_full": "show runs/rich --full",
    "show_none_full": "show runs/none --full",
    "show_json": "show runs/rich --format json",
    "show_none_json": "show runs/none --format json",
    "show_csv": "show runs/rich --format csv",
    "diff": "diff runs/rich runs/none",
    "diff_json": "diff runs/none runs/other --format json",
    # One design, and several.
    "explain": "explain runs/rich",
    "explain_alone": "explain runs/alone",
    "explain_baseline": "explain runs/rich a100",
    "explain_chips": "explain '2x a100_80gb_sxm weight_format=bf16' --workload 'llama2_70b batch=32'",
    "explain_json": "explain runs/rich knee --format json",
    "explain_csv": "explain runs/rich knee --format csv",
    "curve": "explain runs/rich --curve",
    "curve_none": "explain runs/rich a100 --curve",
    "curve_json": "explain runs/rich --curve --format json",
    "compare": "compare runs/rich",
    "compare_load": "compare runs/rich --load 20000",
    "budget_json": "compare runs/rich --budget '13_000_000 KRW' --krw-per-usd 1300 --format json",
    # Questions.
    "check": "check rich.yaml",
    "check_none": "check none.yaml",
    "check_json": "check rich.yaml --format json",
    "exploits": "check --exploits holes.yaml",
    "require_none": "require none.yaml",
    "require_json": "require rich.yaml --format json",
    "require_design": "require runs/rich knee",
    "require_design_json": "require runs/rich knee --format json",
    "require_memory": "require --memory lpddr5x_10667 --memory hbm3",
    "robust": "robust runs/rich --draws 8 --draw none",
    "choose": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --chip tpu_v4 --max tpot_ms=9 --top 2",
    "choose_none": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --max tpot_ms=2",
    "choose_every": "choose llama3_8b --chip a100_80gb_sxm --max tpot_ms=50 --every --rank power --chips 2",
    "choose_sweep": "choose rich.yaml",
    "choose_json": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --max tpot_ms=50 --format json",
    "audit": "audit claims.yaml",
    "audit_json": "audit claims.yaml --format json",
    # The library and measurements.
    "library": "library list nodes",
    "library_memory": "library show hbm3",
    "library_chip": "library show a100_80gb_sxm",
    "library_model": "library show mixtral_8x7b",
    "library_stack": "library show tensorrt_llm",
    "library_parameter": "library parameter tco.pue",
    "library_where": "library where nodes.tsmc_5.mask_set_usd",
    "validate": "validate --measurements rows.csv",
    "validate_json": "validate --measurements rows.csv --format json",
    "calibrate": "calibrate rows.csv --stack accelerator_serving",
    "compress": "compress --shape 64x64",
    "compress_json": "compress --shape 48x64 --sparsity 0.75 --bits 3 --format json",
    "new": "new --list",
}
"""What is called, by the name of the file that holds what it prints."""

CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"), "DATE"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA-256"),
)
"""What no two calls print alike."""

SURROUNDINGS = ("commit", "packages", "python")
"""What a manifest says of where a run was made."""


def steady(text: str, folder: Path) -> str:
    """Return the text without what no two calls print alike, and without spaces at the ends of lines."""
    text = text.replace(str(folder), "FOLDER")
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def shortened(value: Any) -> Any:
    """Return JSON with the first and the last of every long list, and how many lie between."""
    if isinstance(value, dict):
        return {key: shortened(one) if key not in SURROUNDINGS else "SURROUNDINGS" for key, one in value.items()}
    if not isinstance(value, list):
        return float(f"{value:.9g}") if isinstance(value, float) else value
    if len(value) < 4:
        return [shortened(one) for one in value]
    return [shortened(value[0]), f"and {len(value) - 2} more", shortened(value[-1])]


@pytest.fixture(scope="module", autouse=True)
def clock():
    """A clock on which a millisecond passes whenever this library looks at it."""
    looks, real = itertools.count(), time.perf_counter

    def told() -> float:
        ours = sys._getframe(1).f_globals["__name__"].startswith(("dse.", "cost_models."))
        return next(looks) * 1e-3 if ours else real()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "perf_counter", told)
        yield


@pytest.fixture(scope="module")
def folder(clock, tmp_path_factory):
    """A folder with sweeps, their runs and what else the commands read."""
    where = tmp_path_factory.mktemp("words")
    make(where, "rich", "none", "other", "alone")
    (where / "rows.csv").write_text(ROWS)
    (where / "claims.yaml").write_text(json.dumps(CLAIMS))
    (where / "holes.yaml").write_text(json.dumps(HOLES))
    assert call("robust", where / "runs" / "rich", "--draws", 8, "--draw", "none", "-q").status == 0
    return where


@pytest.fixture(autouse=True)
def terminal(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")


pytestmark = pytest.mark.stored


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_print_what_was_looked_at(name, folder, file_regression):
    status, out, err = call(*shlex.split(COMMANDS[name].format(out=f"out_{name}")))
    if out.startswith(("{", "[")):
        out = json.dumps(shortened(json.loads(out)), indent=1, ensure_ascii=False)
    told = f"$ dse {COMMANDS[name]}\n{steady(out, folder)}exit status {status}\n{steady(err, folder) if err else ''}"
    file_regression.check(told, basename=name, check_fn=assert_same(1e-7, 0.0, 7))

"""What every command prints, and what runs, tables and the report hold, against what was looked at and stored.

``tests/snapshot/README.md`` says how to write them anew.
"""

from __future__ import annotations

import itertools
import json
import shlex
import sys
import time
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.cli import call
from tests.dse.cli.test_commands import CLAIMS, ROWS, names
from tests.snapshot.files import printed, told_files
from tests.snapshot.made import DESIGN, make, write
from tests.snapshot.told import assert_same, steady

COMMANDS = {
    # A run as it ends, and looked at again.
    "run": "run rich.yaml --draw none --no-report --out {out}",
    "run_none": "run none.yaml --draw none --no-report --out {out}",
    "run_alone": "run alone.yaml --draw none --full --out {out}",
    "run_users": "run users.yaml --draw none --no-report --full --out {out}",
    "run_nearly": "run nearly.yaml --draw none --no-report --full --out {out}",
    "show_pools": "show runs/pools --full",
    "resume": "resume runs/alone",
    "merge": "merge runs/none runs/other --draw none --no-report --out {out}",
    "merge_two": "merge runs/grown runs/grown_again --draw none --no-report --out {out}",
    "report": "report runs/rich --out {out}.html",
    "report_none": "report runs/none --n-designs 6 --out {out}.html",
    "export": "export runs/rich --storage journal:{out}.journal --n-designs 40",
    "new_written": "new {out} --from quickstart",
    "show": "show runs/rich --top 2",
    "show_full": "show runs/rich --full",
    "show_none_full": "show runs/none --full",
    "show_json": "show runs/rich --format json",
    "show_none_json": "show runs/none --format json",
    "show_none": "show runs/none",
    "show_none_csv": "show runs/none --format csv",
    "show_alone": "show runs/alone --top 1",
    "show_alone_json": "show runs/alone --format json",
    "show_csv": "show runs/rich --format csv",
    "diff": "diff runs/rich runs/none",
    "diff_json": "diff runs/none runs/other --format json",
    "diff_csv": "diff runs/rich runs/none --format csv",
    "diff_same": "diff runs/none runs/none",
    # One design, and several.
    "explain": "explain runs/rich",
    "explain_alone": "explain runs/alone",
    "explain_baseline": "explain runs/rich a100",
    "explain_chips": "explain '2x a100_80gb_sxm weight_format=bf16' --workload 'llama2_70b batch=32'",
    "explain_json": "explain runs/rich knee --format json",
    "explain_csv": "explain runs/rich knee --format csv",
    "explain_cheapest": "explain runs/rich best_cost_usd",
    "explain_none": "explain runs/none 0",
    "explain_pools": "explain runs/pools",
    "explain_file": "explain design.yaml",
    "explain_baseline_curve": "explain design.yaml --curve",
    "explain_experts": "explain '2x h100_sxm weight_format=fp8' --workload mixtral_8x7b --format json",
    "explain_tpus": "explain runs/rich tpus --format csv",
    "curve": "explain runs/rich --curve",
    "curve_none": "explain runs/rich a100 --curve",
    "curve_json": "explain runs/rich --curve --format json",
    "curve_csv": "explain runs/alone --curve --format csv",
    "compare": "compare runs/rich",
    "compare_load": "compare runs/rich --load 20000",
    "budget": "compare runs/rich --budget '13_000_000 KRW' --krw-per-usd 1300",
    "compare_json": "compare runs/alone --baseline '8x h200_sxm weight_format=fp8' --format json",
    "compare_csv": "compare runs/rich --format csv",
    "compare_none": "compare runs/none",
    "compare_pools": "compare runs/pools --format csv",
    "compare_pools_load": "compare runs/pools --load 9000",
    # Questions.
    "check": "check rich.yaml",
    "check_none": "check none.yaml",
    "check_json": "check rich.yaml --format json",
    "exploits": "check --exploits holes.yaml",
    "exploits_free": "check --exploits cheap.yaml",
    "exploits_json": "check --exploits cheap.yaml --format json",
    "exploits_csv": "check --exploits cheap.yaml --format csv",
    "check_users": "check users.yaml",
    "check_pools": "check pools.yaml",
    "check_hidden": "check nearly.yaml --set workloads.chat.n_chips=2 --set space.clock_ghz=4",
    "check_csv": "check none.yaml --set search.sampler=sobol --set search.n_designs=8 --format csv",
    "require_none": "require none.yaml",
    "require_json": "require rich.yaml --format json",
    "require_design": "require runs/rich knee",
    "require_design_json": "require runs/rich knee --format json",
    "require_file": "require design.yaml",
    "require_memory": "require --memory lpddr5x_10667 --memory hbm3",
    "require_memory_csv": "require --memory lpddr5x_10667 --format csv",
    "require_memory_json": "require --memory hbm3 --memory gddr6_16 --format json",
    "robust": "robust runs/rich --draws 8 --pick best_cost_usd --draw none",
    "robust_json": "robust runs/alone --draws 8 --draw none --format json",
    "choose": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --chip tpu_v4 --max tpot_ms=9 --top 2",
    "choose_none": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --max tpot_ms=2",
    "choose_every": "choose llama3_8b --chip a100_80gb_sxm --max tpot_ms=50 --every --rank power --chips 2",
    "choose_sweep": "choose rich.yaml",
    "choose_csv": "choose llama3_8b --chip h100_sxm --chip tpu_v4 --rank hour --as 'fp8 kv_bits=8' --format csv",
    "choose_cost": "choose 'mixtral_8x7b batch=4' --chip h100_sxm --rank cost --min tokens_per_s=100",
    "choose_by_metric": "choose llama3_8b --chip a100_80gb_sxm --chip rtx_4090 --rank speed --chips 1",
    "choose_json": "choose llama3_8b --chip h100_sxm --chip a100_80gb_sxm --max tpot_ms=50 --format json",
    "audit": "audit claims.yaml --out {out}",
    "audit_json": "audit claims.yaml --format json",
    "audit_csv": "audit claims.yaml --format csv",
    # The library and measurements.
    "library": "library list nodes",
    "library_sections": "library list",
    "library_section": "library list memory_grades",
    "library_parameters_all": "library list parameters --format csv",
    "library_models": "library list models --format csv",
    "library_formats": "library list mac_formats --format json",
    "library_node": "library show tsmc_5",
    "library_grade": "library show lpddr5x_9600 --format json",
    "library_format": "library show xor_int4_s50 --format csv",
    "library_source": "library show tpot_ms",
    "library_sweep_parameter": "library show weight_format",
    "library_sweep_parameters": "library list sweep_parameters",
    "library_parameters": "library parameter assembly",
    "library_parameters_json": "library parameter tco.pue --format json",
    "library_where_json": "library where tco.pue --format json",
    "library_memory": "library show hbm3",
    "library_chip": "library show a100_80gb_sxm",
    "library_model": "library show mixtral_8x7b",
    "library_stack": "library show tensorrt_llm",
    "library_parameter": "library parameter tco.pue",
    "library_where": "library where nodes.tsmc_5.mask_set_usd",
    "validate": "validate --measurements rows.csv --out {out}.csv",
    "validate_json": "validate --measurements rows.csv --format json",
    "validate_csv": "validate --measurements rows.csv --with software=vllm --format csv",
    "calibrate": "calibrate rows.csv --stack accelerator_serving --out {out}",
    "compress": "compress --shape 64x64",
    "compress_json": "compress --shape 48x64 --sparsity 0.75 --bits 3 --format json",
    "compress_csv": "compress --shape 32x64 --rho 0.3 --only bitmap --only csr16 --format csv",
    "compress_some": "compress --shape 48x64 --sparsity 0 --bits 16",
    "new": "new --list",
}
"""What is called, by the name of the file that holds what it prints and writes."""


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
    make(where, "rich", "served", "none", "other", "alone", "grown", "grown_again", "pools")
    for name in ("holes", "cheap", "users", "nearly"):
        write(where, name)
    (where / "rows.csv").write_text(ROWS)
    (where / "claims.yaml").write_text(json.dumps(CLAIMS))
    (where / "design.yaml").write_text(json.dumps(DESIGN))
    assert call("robust", where / "runs" / "rich", "--draws", 8, "--draw", "none", "-q").status == 0
    return where


@pytest.fixture(autouse=True)
def terminal(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(FigureCanvasAgg, "print_png", lambda _, path, **__: Path(path).touch())
    monkeypatch.setenv("COLUMNS", "80")


pytestmark = pytest.mark.stored


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_print_and_write_what_was_looked_at(name, folder, file_regression):
    status, out, err = call(*shlex.split(COMMANDS[name].format(out=f"out_{name}")))
    told = f"$ dse {COMMANDS[name]}\n{steady(printed(out), folder)}exit status {status}\n"
    told += steady(err, folder) if err else ""
    if "{out}" in COMMANDS[name]:
        made = [*folder.glob(f"out_{name}"), *folder.glob(f"out_{name}.*"), *folder.glob(f"out_{name}/*")]
        told += steady(told_files(sorted(path for path in made if path.is_file())), folder)
    file_regression.check(told, basename=name, check_fn=assert_same(1e-7, 0.0, 7))


def test_commands_tell_their_options_as_they_did(file_regression):
    told = "".join(f"$ dse {name} --help\n{call(*name.split(), '--help').out}" for name in ["", *names()])
    told = "".join(f"{line.rstrip()}\n" for line in told.splitlines())
    file_regression.check(told, basename="help", check_fn=assert_same(0.0, 0.0, 99))

"""What every command refuses, in its whole words, beside the nearest call that it takes."""

import json
import shlex

import pytest
import yaml

from dse.cli.options import ImageFormat, image_formats
from dse.errors import RunError
from dse.runs import run
from dse.sweep import parse_spec
from dse.sweep.shipped import shipped_sweeps
from tests.dse.cli.test_commands import ROWS, SWEEP
from tests.snapshot.made import DESIGN

pytestmark = pytest.mark.stored

LEAST, MOST = "Input should be greater than or equal to", "Input should be less than or equal to"
NOT_THERE = "nowhere: there is no such run directory"
WITH_SWEEP = "does not go with a sweep, which says it itself"
PAIR = "--x and --y go together, --by with both, --kind with none of them"
NAME = "is not letters, digits, _ or -, beginning with a letter"
GENERATED = "w.npy: --shape and --rho are for generated tensors, not for one from a file"
LISTED = "Invalid value for --weakest-first: goes with parameters and evidence"
SILICON = "Invalid value: --silicon goes with --format only"

REFUSED = {
    "check": "SPEC: is missing: the sweep file to check, or --schema",
    "check --out x": "SPEC: is missing: the sweep file to check, or --schema\n"
    "--out: goes with --schema; a check writes nothing",
    "check tiny.yaml --out x": "--out: goes with --schema; a check writes nothing",
    "check tiny.yaml --schema": "--schema: is that of every sweep file; no file and no --set go with it",
    "check --schema --set a=1": "--schema: is that of every sweep file; no file and no --set go with it",
    "check --schema --exploits": "--exploits: is a check of a sweep; it does not go with --schema",
    "choose tiny.yaml --max tpot_ms=1 --min tpot_ms=1": f"--max: {WITH_SWEEP}\n--min: {WITH_SWEEP}",
    "choose bare.yml --as fp8 --chip h100_sxm": f"--as: {WITH_SWEEP}\n--chip: {WITH_SWEEP}",
    "choose tiny.yaml llama3_8b": "WORKLOAD: is one sweep, or workloads, not both",
    "choose tiny.yaml tiny.yaml --as fp8": f"--as: {WITH_SWEEP}\nWORKLOAD: is one sweep, or workloads, not both",
    "choose bare.yml": "bare.yml:1:1  baselines: is missing: the chips to rank",
    "choose llama3_8b --chips 0": f"Invalid value for '--chips': {LEAST} 1",
    "choose llama3_8b --chips 4097": f"Invalid value for '--chips': {MOST} 4096",
    "choose llama3_8b --top 0": f"Invalid value for '--top': {LEAST} 1",
    "compare nowhere": NOT_THERE,
    "compare nowhere --load 0 --budget '1 USD'": "--load, --budget: only one of the two can be given",
    "compare nowhere --krw-per-usd inf": "--krw-per-usd: inf is not a finite number of won",
    **{
        f"compare nowhere --load {load}": f"--load: {load} is not a finite number of token/s above 0"
        for load in ("-1", "0", "inf", "nan")
    },
    "compare nowhere --krw-per-usd 0.99": f"Invalid value for '--krw-per-usd': {LEAST} 1",
    "compress --shape 32": "'32' must be two whole numbers with 'x' between them, like 2x4",
    "compress --shape 4x4x4": "'4x4x4' must be two whole numbers with 'x' between them, like 2x4",
    "compress --shape ax4": "'ax4' must be two whole numbers with 'x' between them, like 2x4",
    "compress --shape 4x1.5": "'4x1.5' must be two whole numbers with 'x' between them, like 2x4",
    "compress --shape 4x4 --pattern 2-4": "'2-4' must be two whole numbers with ':' between them, like 2:4",
    "compress --shape 4x64 --pattern 1:64 --only nm_1of64_ranked": "1 of 64 has no numbered patterns: "
    "those are of at most 63 places",
    "compress --shape 4x64 --pattern 1:64 --only bitmap --only nm_1of64_ranked": "1 of 64 has no numbered patterns: "
    "those are of at most 63 places",
    "compress --shape 0x4": "a generated tensor needs a shape of positive sizes, got (0, 4)",
    "compress --shape 16385x16384": "a generated tensor has at most 268,435,456 weights, not 268,451,840",
    "compress --shape 4x4 --bits 1": "codes must have 16 bits or 2 to 8 bits, got 1",
    "compress --shape 4x4 --bits 9": "codes must have 16 bits or 2 to 8 bits, got 9",
    "compress --shape 4x4 --n-in 0": "n_in must be from 1 to 12, got 0",
    "compress --shape 4x4 --n-in 13": "n_in must be from 1 to 12, got 13",
    "compress --shape 4x4 --shift-registers -1": "shift_registers must be 0 or more, got -1",
    "compress --shape 4x4 --rho 1": "rho must be 0 or more and below 1, got 1",
    "compress --shape 4x4 --pattern 0:4": "n of m must keep at least 1 and drop at least 1, got 0 of 4",
    "compress --shape 4x4 --pattern 4:4": "n of m must keep at least 1 and drop at least 1, got 4 of 4",
    "compress --shape 4x4 --sparsity 50": "sparsity must be above 0 and below 1, got 50; perhaps 0.5",
    "compress --shape 4x4 --sparsity 1": "sparsity must be above 0 and below 1, got 1",
    "compress --shape 4x4 --sparsity -0.5": "sparsity must be above 0 and below 1, got -0.5",
    "compress --shape 4x4 --group -1": f"Invalid value for '--group': {LEAST} 0",
    "compress --tensor w": "--tensor w names a tensor of a file; give the file",
    "compress w.npy --shape 4x4": GENERATED,
    "compress w.npy --rho 0.5": GENERATED,
    "compress w.npy": "w.npy: cannot be read: No such file or directory",
    "compress --block 0": f"Invalid value for '--block': {LEAST} 1",
    "compress --seed -1": f"Invalid value for '--seed': {LEAST} 0",
    "diff here nowhere": NOT_THERE,
    "diff nowhere here": NOT_THERE,
    "explain design.yaml knee": "DESIGN: 'knee' goes with a run; design.yaml is not one",
    "explain '1x h100_sxm' knee": "DESIGN: 'knee' goes with a run; 1x h100_sxm is not one",
    "explain h100_sxm knee": "DESIGN: 'knee' goes with a run; h100_sxm is not one",
    "explain here --workload llama3_8b": "--workload: does not go with a run: here has workloads of its own",
    "explain here --library tiny.yaml": "--library: does not go with a run: here carries what its sweep added",
    "explain nowhere": NOT_THERE,
    "explore nowhere --port -1": f"Invalid value for '--port': {LEAST} 0",
    "explore nowhere --port 65536": f"Invalid value for '--port': {MOST} 65535",
    "explore nowhere --port 65535": NOT_THERE,
    "export here": "--storage: is missing; for example --storage sqlite:///study.db",
    "export here --storage nothing": "--storage nothing: 'nothing' is not journal:FILE, sqlite:///FILE, "
    "postgresql+psycopg://USER@HOST/DATABASE or env:VARIABLE",
    "export here --storage journal:a --n-designs 0": f"Invalid value for '--n-designs': {LEAST} 1",
    "library list --weakest-first": LISTED,
    "library list chips --weakest-first": LISTED,
    "merge here": "merge needs at least two runs",
    "merge here here": "here: holds designs of here once more, which would count twice: "
    "merge runs with other seeds or samplers",
    "new": "NAME: is missing: the name of the sweep to write, or --list",
    "new 9lives": f"NAME: '9lives' {NAME}",
    "new my.sweep": f"NAME: 'my.sweep' {NAME}",
    "new tiny": "tiny.yaml: exists already, and is not overwritten; choose another name",
    "new bare.yml": "bare.yml: exists already, and is not overwritten; choose another name",
    "new other --from nosuch": "--from: 'nosuch' is not a shipped sweep (dse new --list)",
    "plot here --x macs": f"--x: {PAIR}",
    "plot here --y macs": f"--y: {PAIR}",
    "plot here --by macs": f"--by: {PAIR}",
    "plot here --x macs --by macs": f"--x, --by: {PAIR}",
    "plot here --x macs --y macs --kind pareto": f"--x, --y, --kind: {PAIR}",
    "report nowhere --n-designs 0": f"Invalid value for '--n-designs': {LEAST} 1",
    "report nowhere --n-designs 200001": f"Invalid value for '--n-designs': {MOST} 200000",
    "report nowhere --n-designs 200000": NOT_THERE,
    "report nowhere --n-designs 1": NOT_THERE,
    "require": "WHAT: is missing: a sweep file, a design file or a run, or --memory",
    "require here --memory hbm3": "--memory: goes with a sweep file, or alone",
    "require design.yaml --memory hbm3": "--memory: goes with a sweep file, or alone",
    "require tiny.yaml knee": "DESIGN: 'knee' goes with a run; tiny.yaml is not one",
    "require design.yaml knee": "DESIGN: 'knee' goes with a run; design.yaml is not one",
    "require design.yaml --set a=1": "--set: goes with a sweep file",
    "require here --workload llama3_8b": "--workload: goes with a design file",
    "require tiny.yaml --workload llama3_8b": "--workload: goes with a design file",
    "require design.yaml --plots p": "--plots: goes with a sweep file",
    "require --memory hbm3 --plots p --set a=1 --workload x": "--set: goes with a sweep file\n"
    "--workload: goes with a design file\n--plots: goes with a sweep file",
    "resume here --n-designs 0": f"Invalid value for '--n-designs': {LEAST} 1",
    "resume nowhere --n-designs 1": NOT_THERE,
    "robust nowhere --draws 1": f"Invalid value for '--draws': {LEAST} 2",
    "robust nowhere --draws 2": NOT_THERE,
    "robust nowhere --draws 100000": NOT_THERE,
    "robust nowhere --draws 100001": "--draws 100001: at most 100000 are drawn",
    "robust nowhere --seed -1": f"Invalid value for '--seed': {LEAST} 0",
    "robust nowhere --n-designs 0": f"Invalid value for '--n-designs': {LEAST} 1",
    "robust nowhere --n-designs 1 --seed 0": NOT_THERE,
    "run tiny.yaml --scheduler tcp://x:1": "--scheduler tcp://x:1: only --backend dask has a scheduler",
    "run tiny.yaml --jobs -1": f"Invalid value for '--jobs' / '-j': {LEAST} 0",
    "show here --top 0": f"Invalid value for '--top': {LEAST} 1",
    **{
        f"validate --silicon {more}": SILICON
        for more in ("--measurements rows.csv", "--with batch=1", "--library tiny.yaml", "--out x", "--plots x")
    },
    **{
        f"{command} --with {word}": f"Invalid value: --with {word} is not COLUMN=VALUE with a column such as chip, "
        "n_chips, parallelism, model, weight_bits, act_bits, kv_bits, batch, input_len, output_len, software"
        for command, word in (
            ("validate", "chip"), ("validate", "speed=3"), ("validate", "value=3"), ("calibrate rows.csv", "=3"),
        )
    },
}  # fmt: skip
"""Calls with all that standard error says of them, but for how a command is used."""

TAKEN = (
    "check --schema",
    "check --schema --out schema.json",
    "check tiny.yaml",
    "choose tiny.yaml",
    "choose llama3_8b --chip h100_sxm --as fp8 --chips 4096",
    "choose llama3_8b --chip h100_sxm --as fp8 --chips 1 --top 1",
    "compare here --load 0.01",
    "compare here --budget '1000000 USD' --krw-per-usd 1",
    "compress --shape 8x8 --only bitmap --block 1 --seed 0",
    "compress --shape 8x8 --only group --sparsity 0 --group 0",
    "compress --shape 8x8 --only bitmap --bits 2",
    "compress --shape 8x8 --only bitmap --bits 8 --rho 0.99 --block 1",
    "compress --shape 4x8 --only xor_1x0 --n-in 1 --shift-registers 0",
    "compress --shape 4x8 --only xor_12x0 --n-in 12 --shift-registers 0",
    "compress --shape 4x4 --only nm_3of4 --pattern 3:4",
    "compress --shape 4x63 --pattern 1:63 --only nm_1of63_ranked",
    "compress --shape 4x64 --pattern 1:64 --only nm_1of64",
    "explain h100_sxm --workload llama3_8b",
    "explain here knee",
    "export here --storage journal:b --n-designs 1",
    "library list evidence --weakest-first",
    "library list parameters --weakest-first",
    "new a-b_1",
    "plot here --x memory_devices --y cost_usd",
    "require --memory hbm3",
    "require here knee",
    "require design.yaml",
    "show here --top 1",
    "validate --measurements rows.csv --with software=vllm",
)
"""The calls beside those that are refused."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("refusals")
    run(parse_spec(SWEEP), out=where / "here")
    (where / "tiny.yaml").write_text(yaml.safe_dump(SWEEP))
    (where / "bare.yml").write_text(yaml.safe_dump({key: one for key, one in SWEEP.items() if key != "baselines"}))
    (where / "rows.csv").write_text(ROWS)
    (where / "design.yaml").write_text(json.dumps(DESIGN))
    return where


@pytest.fixture
def dse(call, folder, monkeypatch):
    """The command line in the folder, called with one line of words."""
    monkeypatch.chdir(folder)
    return lambda words: call(*shlex.split(words))


@pytest.mark.parametrize("words", REFUSED)
def test_a_call_that_cannot_be_is_refused_in_whole_words(dse, folder, words):
    before = set(folder.rglob("*"))
    status, out, err = dse(words)
    told = err.partition("\nError: ")[2] if err.startswith("Usage: ") else err
    assert (status, out, told) == (2, "", f"{REFUSED[words]}\n")
    assert set(folder.rglob("*")) == before


def test_a_shipped_sweep_is_chosen_from_by_its_name(dse):
    asked = [dse(f"choose {what} --format csv") for what in ("quickstart", shipped_sweeps()["quickstart"])]
    assert asked[0] == asked[1] and asked[0].status in (0, 3) and len(asked[0].out.splitlines()) > 1


@pytest.mark.parametrize("words", TAKEN)
def test_the_call_beside_it_is_taken(dse, words):
    assert dse(f"{words} --quiet") == (0, "", "")


def test_the_schema_goes_where_it_is_asked_to(dse, folder):
    printed = dse("check --schema")
    assert dse("check --schema --out same.json") == (0, "", "")
    assert (folder / "same.json").read_text(encoding="utf-8") == printed.out
    assert printed.err == "" and printed.out.endswith("}\n") and "space" in json.loads(printed.out)["properties"]


def test_an_export_says_what_it_leaves_out(dse):
    some, whole = (
        dse(f"export here --storage journal:{name} {more}") for name, more in (("c", "--n-designs 1"), ("d", ""))
    )
    assert "1 trial, 1 of them the front" in some.out and "15 of the 16 designs that the run keeps are left" in some.out
    assert "16 trials, 3 of them the front" in whole.out and "left out" not in whole.out


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (OSError(28, "Disk full", "here/x"), 2, "here/x: cannot be read or written: Disk full"),
        (OSError(30, "Read-only file system"), 2, "cannot be read or written: Read-only file system"),
        (OSError("gone"), 2, "cannot be read or written: gone"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_what_the_surroundings_do_is_a_line_and_a_status(dse, monkeypatch, raised, status, told):
    def fails(*given, **named):
        raise raised

    monkeypatch.setattr("dse.results.store.open_run", fails)
    assert dse("show here") == (status, "", f"{told}\n")


@pytest.mark.parametrize("asked", ["", "1"])
def test_a_defect_shows_its_place_where_that_is_asked_for(monkeypatch, capsys, asked):
    from dse.cli import TRACEBACK, report_defect

    monkeypatch.setenv(TRACEBACK, asked)
    report_defect(ZeroDivisionError, ZeroDivisionError("a slip"), None)
    err = capsys.readouterr().err
    assert ("please report" in err) == (not asked) and "ZeroDivisionError: a slip" in err


def test_silicon_is_asked_for_alone(dse, monkeypatch):
    def asked(further):
        raise RunError(f"{len(further)} further tables")

    monkeypatch.setattr("dse.validation.silicon.checks.silicon_validation", asked)
    assert dse("validate --silicon") == (2, "", "1 further tables\n")


def test_plots_are_written_once_in_every_way_asked_for():
    assert image_formats(None) == image_formats([]) == ("png",)
    assert image_formats([ImageFormat.svg, ImageFormat.pdf, ImageFormat.svg]) == ("svg", "pdf")

"""Odd surroundings of a command: no home, an ASCII terminal, closed or full output, a folder that cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dse.runs import run
from dse.sweep import parse_spec
from tests import sweeps
from tests.cli import call

ROOT = Path(__file__).parents[3]

SURROUNDINGS = {
    "no home, ascii": ({"HOME": None, "USER": None, "LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}, ""),
    "output closed": ({}, ">&-"),
    "output full": ({}, "> /dev/full"),
    "reader gone": ({}, "| true"),
}


def made(folder, name, seed):
    space = {**sweeps.tiny()["space"], "memory_devices": {"values": [4, 8]}}
    spec = parse_spec(sweeps.tiny(space=space, search={"sampler": "sobol", "n_designs": 32, "seed": seed}))
    return run(spec, out=folder / name).path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return made(tmp_path_factory.mktemp("runs"), "\x1b[31mred\x07 = ünï", seed=1)


@pytest.mark.parametrize("kind", SURROUNDINGS)
def test_a_run_is_shown_wherever_one_is(path, kind):
    changes, redirected = SURROUNDINGS[kind]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **{k: v for k, v in changes.items() if v is not None}}
    for name in (name for name, value in changes.items() if value is None):
        environment.pop(name, None)
    command = f'"$0" -m dse show "$1" {redirected}'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", sys.executable, path],
        capture_output=True, env=environment, timeout=120, check=False,
    )  # fmt: skip
    err = done.stderr.decode(errors="replace")
    assert "Traceback" not in err and "internal error" not in err, err
    assert done.returncode == (2 if kind == "output full" else 0), err
    if not redirected:
        assert b"\x1b[31mred" not in done.stdout and b"\x07" not in done.stdout


WRITERS = {
    "report": ("report", "{run}", "--out", "{out}/report.html"),
    "resume": ("resume", "{run}", "--n-designs", 64, "--out", "{out}/more", "--no-report"),
    "merge": ("merge", "{run}", "{other}", "--out", "{out}/merged", "--no-report"),
    "export": ("export", "{run}", "--storage", "journal:{out}/study.log"),
    "run": ("run", "sweeps/quickstart.yaml", "--out", "{out}/run", "--set", "search.n_designs=16"),
    "new": ("new", "{out}/mine"),
    "validate": ("validate", "--measurements", "{rows}", "--out", "{out}/scored.csv"),
    "audit": ("audit", "{claims}", "--out", "{out}"),
}


@pytest.mark.parametrize("verb", WRITERS)
def test_a_place_that_cannot_be_written_is_said_in_a_line(path, tmp_path, verb):
    (tmp_path / "file").write_text("in the way")
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "source_id,chip,model,weight_bits,batch,input_len,output_len,metric,value\n"
        "mine,h100_sxm,llama3_8b,16,1,1024,64,tpot_ms,9\n"
    )
    claims = tmp_path / "claims.yaml"
    claims.write_text(
        "name: mine\nworkloads: {chat: {model: llama3_8b, batch: 1}}\nsubjects: {pair: {chips: 1x a100_80gb_sxm}}\n"
        "claims: [{of: pair, workload: chat, metric: tokens_per_s, value: 100, within: 50 %, source: me, grade: low}]\n"
    )
    # Below a file nobody can write, not even root.
    other = made(path.parent, "other", seed=2) if verb == "merge" else path
    where = {"run": path, "other": other, "out": tmp_path / "file" / "folder", "rows": rows, "claims": claims}
    before = sorted(tmp_path.rglob("*"))
    done = call(*(str(word).format(**where) for word in WRITERS[verb]))
    assert done.status == 2, (done.status, done.err)
    assert len(done.err.splitlines()) <= 3 and "internal error" not in done.err, done.err
    assert sorted(tmp_path.rglob("*")) == before
    assert not list(path.parent.glob("*.unfinished"))

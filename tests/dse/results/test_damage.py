"""Every file of a run deleted, cut and flipped in turn: each verb works, or says which file it is."""

import json
import shutil

import pytest

from dse.runs import run
from dse.sweep import parse_spec
from tests import sweeps
from tests.cli import call


def deleted(file):
    file.unlink()


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def verbs(path, other, to):
    return [
        ("show", path),
        ("plot", path, "--kind", "pareto"),
        ("report", path),
        ("compare", path),
        ("explain", path),
        ("resume", path, "--n-designs", 128, "--out", to / "more", "--draw", "none", "--no-report"),
        ("merge", path, other, "--out", to / "merged", "--draw", "none", "--no-report"),
        ("diff", path, other),
        ("export", path, "--storage", f"journal:{to / 'study.log'}"),
        ("robust", path, "--draws", 4),
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    spec = parse_spec(sweeps.tiny(search={"sampler": "sobol", "n_designs": 64, "seed": 1}))
    return [run(spec, out=folder / name).path for name in ("one", "two")]


def test_every_verb_works_on_a_whole_run(runs, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(runs[0], copy)
    for verb in verbs(copy, runs[1], tmp_path):
        done = call(*verb)
        assert done.status in (0, 3), (verb, done.err)


@pytest.mark.parametrize("damage", [deleted, cut, flipped])
def test_a_damaged_file_is_worked_around_or_named(runs, tmp_path, damage):
    one, other = runs
    names = [path.relative_to(one).as_posix() for path in sorted(one.rglob("*")) if path.is_file()]
    assert len(names) >= 12
    named = 0
    for name in names:
        for number in range(10):
            shutil.rmtree(tmp_path / "at", ignore_errors=True)
            copy = tmp_path / "at" / "run"
            shutil.copytree(one, copy)
            verb = verbs(copy, other, tmp_path / "at")[number]
            damage(copy / name)
            done = call(*verb)
            assert done.status in (0, 2, 3), (name, verb, done.err)
            if done.status == 2:
                assert str(copy) in done.err and "Traceback" not in done.err, (name, verb, done.err)
                assert [path.name for path in (tmp_path / "at").iterdir()] == ["run"], (name, verb)
                named += 1
    assert named > 20


def test_the_manifest_vouches_for_every_file(runs):
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    there = {path.relative_to(runs[0]).as_posix() for path in runs[0].rglob("*") if path.is_file()}
    assert there - {"manifest.json"} == set(manifest["files"])


def test_a_result_that_was_edited_is_not_shown_as_what_was_found(runs, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(runs[0], copy)
    file = copy / "constraints.csv"
    file.write_text(file.read_text().replace("64", "65"))
    done = call("show", copy)
    assert done.status == 2 and f"{file}: is damaged" in done.err and f"dse run {copy / 'sweep.yaml'}" in done.err

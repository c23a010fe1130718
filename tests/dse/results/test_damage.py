"""Every file of a run deleted, cut, flipped or replaced in turn: each verb works, or says which file it is.

The short version, a verb for five damages of every file, is part of the suite; `make soak` sets DSE_SOAK_DAMAGE for
every verb, with so many flips and cuts of each file at random places.
"""

import json
import os
import shutil

import numpy as np

from tests.cli import call

SOAK = int(os.environ.get("DSE_SOAK_DAMAGE", "0"))


def deleted(file, rng):
    file.unlink()


def cut(file, rng):
    file.write_bytes(file.read_bytes()[: rng.integers(file.stat().st_size)])


def flipped(file, rng):
    content = bytearray(file.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    file.write_bytes(bytes(content))


def zeroed(file, rng):
    file.write_bytes(b"\0" * file.stat().st_size)


def folder(file, rng):
    file.unlink()
    file.mkdir()


def endless(file, rng):
    file.unlink()
    file.symlink_to("/dev/zero")


def piped(file, rng):
    file.unlink()
    os.mkfifo(file)


DAMAGES = (deleted, cut, flipped, zeroed, folder, endless, piped)


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


def test_every_verb_works_on_a_whole_run(runs, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(runs[0], copy)
    for verb in verbs(copy, runs[1], tmp_path):
        done = call(*verb)
        assert done.status in (0, 3), (verb, done.err)


def damages(number):
    """Return the damages of a file: those of content, and in the short version one in turn of what is no file."""
    return DAMAGES if SOAK else (*DAMAGES[:4], DAMAGES[4 + number % 3])


def attempts(names, rng):
    """Yield names of files, damages, and numbers of verbs: every file with its damages, by one verb or by all."""
    of_each = [(name, damage) for number, name in enumerate(names) for damage in damages(number)]
    for place, (name, damage) in zip(rng.permutation(len(of_each)), of_each, strict=True):
        many = max(SOAK, 1) if damage in (cut, flipped) else 1
        for _ in range(many):
            yield from ((name, damage, number) for number in (range(10) if SOAK else [place % 10]))


def test_a_damaged_file_is_worked_around_or_named(runs, tmp_path):
    one, other = runs
    names = [path.relative_to(one).as_posix() for path in sorted(one.rglob("*")) if path.is_file()]
    assert len(names) >= 16 and "robust/designs.csv" in names
    rng, tried, named = np.random.default_rng(0), 0, 0
    for name, damage, number in attempts(names, rng):
        shutil.rmtree(tmp_path / "at", ignore_errors=True)
        copy = tmp_path / "at" / "run"
        shutil.copytree(one, copy)
        verb = verbs(copy, other, tmp_path / "at")[number]
        damage(copy / name, rng)
        done = call(*verb)
        tried += 1
        assert done.status in (0, 2, 3), (name, damage, verb, done.err)
        if done.status == 2:
            assert str(copy) in done.err and len(done.err.splitlines()) <= 3, (name, damage, verb, done.err)
            assert [path.name for path in (tmp_path / "at").iterdir()] == ["run"], (name, damage, verb)
            named += 1
    print(f"{tried} damages, {named} of them told")
    assert tried >= 5 * 16 and named > tried // 5


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

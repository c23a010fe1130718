"""Where a result comes from, and whether today's numbers are those of a stored run."""

import subprocess
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dse.results import moved, provenance
from dse.results.manifest import again, written_by
from dse.results.provenance import library_hash, package_versions, python_version, source_commit, text_hash

MANIFEST = {"packages": {"llm-chip-dse": "0.2.0"}, "commit": "0123456789abcdef", "finished": "2026-01-02T03:04:05"}


def test_a_run_is_told_by_day_version_and_commit():
    told = "written on 2026-01-02 by llm-chip-dse 0.2.0"
    assert written_by(MANIFEST) == f"{told}, commit 0123456789ab" and written_by({**MANIFEST, "commit": None}) == told
    assert written_by({**MANIFEST, "packages": {}, "commit": ""}) == f"{told.removesuffix('0.2.0')}of no known version"
    assert again(Path("a/b")) == "the same run again: dse run a/b/sweep.yaml"


def test_packages_are_those_that_are_installed(monkeypatch):
    def version(name):
        if name in ("optuna", "numpy"):
            raise metadata.PackageNotFoundError
        return f"{name} 1"

    monkeypatch.setattr(provenance.metadata, "version", version)
    found = package_versions()
    assert found["scipy"] == "scipy 1" and "rich" in found and not {"optuna", "numpy"} & set(found)
    assert python_version().startswith("CPython 3.") or "." in python_version()


@pytest.mark.parametrize(
    ("git", "tracked", "described", "commit"),
    [("/git", 0, 0, "abc-dirty"), ("/git", 0, 1, None), ("/git", 1, 0, None), (None, 0, 0, None)],
)
def test_the_commit_is_that_of_a_checkout_of_these_files(git, tracked, described, commit, monkeypatch):
    asked = []

    def run(words, **named):
        asked.append(words)
        assert named["capture_output"] is True and named["text"] is True and named["check"] is False
        code = tracked if "ls-files" in words else described
        return SimpleNamespace(returncode=code, stdout="abc-dirty\n" if "describe" in words else "errors.py\n")

    monkeypatch.setattr(provenance.shutil, "which", lambda name: git)
    monkeypatch.setattr(subprocess, "run", run)
    assert source_commit() == commit
    assert all(words[:2] == ["/git", "-C"] and Path(words[2]).name == "results" for words in asked)
    assert len(asked) == (0 if git is None else 2 - tracked)


def test_a_library_is_the_names_and_texts_of_its_files(tmp_path):
    (tmp_path / "in").mkdir()
    for name, text in {"b.yaml": "1", "in/a.csv": "2", "c.txt": "3", "in/d.yml": "4"}.items():
        (tmp_path / name).write_text(text)
    assert library_hash(SimpleNamespace(directory=tmp_path)) == text_hash("b.yaml", "1", "in/a.csv", "2")


# --- numbers that have moved ----------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch):
    """A run whose knee had 100 ms and 50 USD."""
    monkeypatch.setattr(moved, "Space", lambda spec: spec)
    monkeypatch.setattr(moved, "given_designs", lambda space, spec, design: design)
    now = {"chat.tpot_ms": 100.0, "cost_usd": 50.0, "tdp_w": 0.0, "noise": 1.0}
    then = {"chat.tpot_ms": 100.0, "cost_usd": 50.0, "tdp_w": 0.0, "noise": 9.0, "gone": 3.0}
    picks = [{"name": name, "design": name, "metrics": then} for name in ("first", "knee")]
    spec = SimpleNamespace(
        model=SimpleNamespace(metrics=("noise",)),
        objectives=(SimpleNamespace(metric="cost_usd"), SimpleNamespace(metric="chat.tpot_ms")),
    )
    found = SimpleNamespace(spec=spec, picks=picks, path=Path("here"), manifest=MANIFEST, now=now, asked=[])

    def evaluate(design):
        found.asked.append(design)
        return SimpleNamespace(metrics={name: np.array([value, 0.5]) for name, value in found.now.items()})

    found.evaluator = SimpleNamespace(evaluate=evaluate)
    return found


def test_a_run_with_the_numbers_of_today_is_shown_without_a_word(run):
    assert moved.moved_numbers(run) == "" and run.asked == ["knee"]
    run.now["chat.tpot_ms"], run.now["cost_usd"] = 100.09, 49.96
    assert moved.moved_numbers(run) == "", "three digits are the same"
    model, run.spec.model = run.spec.model, None
    assert "noise of its knee is 1, not 9" in moved.moved_numbers(run), "which is ours where no model says it"
    run.spec.model = model
    run.picks.pop()
    moved.moved_numbers(run)
    assert run.asked[-1] == "first"
    run.picks.clear()
    assert moved.moved_numbers(run) == "" and len(run.asked) == 4


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"chat.tpot_ms": 100.11}, "chat.tpot_ms of its knee is 100.1, not 100"),
        ({"cost_usd": 49.9}, "cost_usd of its"),
        ({"chat.tpot_ms": 1.0, "cost_usd": 60.0}, "cost_usd of its knee is 60, not 50"),
        ({"tdp_w": 1e-9}, "tdp_w of its knee is 1e-09, not 0"), ({"tdp_w": -0.5}, "tdp_w of its knee is -0.5, not 0"),
        ({"cost_usd": np.nan}, "cost_usd of its knee is nan, not 50"),
    ],
)  # fmt: skip
def test_a_run_with_other_numbers_says_so_by_its_first_objective(now, told, run):
    run.now.update(now)
    words = moved.moved_numbers(run)
    assert words.startswith(f"here: WARNING: was {written_by(MANIFEST)}; by the models and library of today ")
    assert told in words and words.endswith(again(Path("here")))

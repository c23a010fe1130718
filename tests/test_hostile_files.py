"""Hostile files of every kind are refused in a few lines, in no time, and leave nothing behind.

The short version is part of the suite; ``python -m tests.soak.hostile`` tries thousands.
"""

import pytest

from tests.hostile import attack
from tests.hostile_targets import targets

COUNTS = {
    "sweep": 40, "library": 45, "claims": 35, "config": 60, "gguf": 50, "npy": 120, "safetensors": 120, "csv": 40,
    "tool": 45, "answers": 30, "record": 100,
}  # fmt: skip
"""Files tried, by reader: fewer where one takes longer."""

TARGETS = targets()


def test_every_reader_is_attacked():
    assert COUNTS.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", COUNTS)
def test_hostile_files_are_read_or_refused_in_words(name, tmp_path):
    tally = attack(TARGETS[name], tmp_path, COUNTS[name], seed=1)
    assert not tally.faults
    assert tally.outcomes["refused"] >= COUNTS[name] // 10 or name == "answers"


@pytest.mark.parametrize("name", COUNTS)
def test_what_is_damaged_was_whole(name, tmp_path):
    target = TARGETS[name]
    file = tmp_path / target.file
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(target.samples[0 if name != "gguf" else 3])
    target.read(file)

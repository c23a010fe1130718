"""Sweeps that come with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse.errors import SpecError
from dse.sweep import shipped


def test_shipped_sweeps_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = shipped.shipped_sweeps()
    assert shipped.sweep_file(Path("mach1")) == known["mach1"] == shipped.shipped_sweep("mach1") and list(
        known
    ) == sorted(known)
    assert shipped.sweep_file(Path("mach1.yaml")) == Path("mach1.yaml") and shipped.sweep_file(Path("a/mach1")) == Path(
        "a/mach1"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mach1").mkdir()
    assert shipped.sweep_file(Path("mach1")) == Path("mach1")
    for ask in (lambda: shipped.sweep_file(Path("mach2")), lambda: shipped.shipped_sweep("mach2")):
        with pytest.raises(SpecError, match="perhaps mach1"):
            ask()
    file = tmp_path / "a.yaml"
    file.write_text("# one\n#  two #\n\n# three\n")
    assert shipped.first_words(file) == "one two #"
    file.write_text("name: x\n# one\n")
    assert shipped.first_words(file) == ""

"""The sweeps that come with the program: in a checkout its folder ``sweeps``, else beside the installed package."""

from __future__ import annotations

import functools
from pathlib import Path

from dse.errors import NOWHERE, Issue, Place, SpecError
from dse.sweep.hints import quoted, suggest

DISTRIBUTION = "llm-chip-dse"
FOLDER = "sweeps"


@functools.cache
def shipped_sweeps() -> dict[str, Path]:
    """Return the shipped sweep files by name."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        files = list((checkout / FOLDER).glob("*.yaml"))
    else:
        from importlib.metadata import files as files_of

        installed = files_of(DISTRIBUTION) or []
        files = [Path(str(one.locate())) for one in installed if one.parent.name == FOLDER and one.suffix == ".yaml"]
    return {file.stem: file.resolve() for file in sorted(files, key=lambda file: file.stem)}


def sweep_file(path: Path) -> Path:
    """Return the sweep file that is meant: one that is there, or else the shipped one of that name.

    Raises:
        SpecError: a bare name is neither.
    """
    if path.suffix or len(path.parts) > 1 or path.exists():
        return path
    known = shipped_sweeps()
    if path.name not in known:
        what = "is neither a file nor a shipped sweep (dse new --list)"
        raise SpecError([Issue(Place(str(path)), "", what, perhaps=suggest(path.name, known))])
    return known[path.name]


def shipped_sweep(name: str) -> Path:
    """Return the file of a shipped sweep.

    Raises:
        SpecError: there is none of that name.
    """
    known = shipped_sweeps()
    if name not in known:
        what = f"{quoted(name)} is not a shipped sweep (dse new --list)"
        raise SpecError([Issue(NOWHERE, "--from", what, perhaps=suggest(name, known))])
    return known[name]


def first_words(file: Path) -> str:
    """Return the comment at the top of a sweep in one line, "" where it has none."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").strip())
    return " ".join(lines)

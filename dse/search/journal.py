"""The state of a search on disk: what was kept of its designs, written every second.

    <run directory>.unfinished/
        search.json sweep.yaml lock
        spec                      the sweep as it was read
        start                     what the search went on from
        kept/<first>-<last>       what is kept of designs first to last (exclusive)
        sampler/<last>            the sampler when it had been told of everything before `last`

A file is written beside its place, flushed to the disk and moved there, so it is whole or not there at all; a stretch
counts as done when its file in kept/ is there. Files hold plain data with a checksum (`dse.packing`), never code.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cost_models.errors import ForeignFileError
from cost_models.library.foreign import read_bytes, read_json
from cost_models.performance.derived import DerivedMetric
from dse.errors import RecordError, RunError
from dse.packing import Data, Record, packed, read_packed
from dse.results.archive import Archive
from dse.results.store import LATEST
from dse.sweep import Spec, spec_data, spec_of

SUFFIX = ".unfinished"
"""What the directory of an unfinished run ends in."""

MAX_BYTES = 2**31
"""Largest file of a state that is read."""

HEADER = "search.json"

_DIGITS = 19
_START = "start"
_SPEC = "spec"


def unfinished(directory: Path) -> Path:
    """Return where the state of the search of a run directory is kept."""
    return directory.with_name(directory.name + SUFFIX)


def find_unfinished(where: Path | str, *, results: Path) -> Path | None:
    """Return the state of the unfinished run that `where` stands for, None where it stands for no such run.

    Args:
        where: the state itself, the run directory that it is to become, a folder of runs, or "latest", the newest.
        results: where "latest" looks.
    """
    path = Path(where)
    for folder in (path, unfinished(path)):
        if folder.name.endswith(SUFFIX) and (folder / HEADER).is_file():
            return folder
    root = results if str(where) == LATEST and not path.exists() else path
    result = [header.parent for depth in ("*", "*/*") for header in root.glob(f"{depth}{SUFFIX}/{HEADER}")]
    return max(result, key=lambda folder: folder.name, default=None)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is whole or not there, even if the power fails.

    Raises:
        RunError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_content(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return read_bytes(path, MAX_BYTES)
    except ForeignFileError as error:
        raise RunError(str(error)) from None


def read_record(path: Path) -> Record:
    """Return the record in a file.

    Raises:
        RunError: it cannot be read, or is damaged.
    """
    return read_packed(read_content(path), str(path))


class Journal:
    """The state of one search.

    Args:
        folder: its directory, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def begin(cls, folder: Path, header: Mapping[str, Any], spec: Spec) -> Journal:
        """Make the directory of a new search.

        Args:
            folder: the directory; it must not exist.
            header: what identifies the search.
            spec: the sweep.

        Raises:
            RunError: it exists, or cannot be made.
        """
        if (folder / HEADER).exists():
            hint = f"dse resume {folder}{cls(folder)._consents()}"
            raise RunError(f"{folder}: an unfinished run is there; go on with: {hint}")
        # Without a header it was never begun.
        shutil.rmtree(folder, ignore_errors=True)
        try:
            for name in ("kept", "sampler"):
                (folder / name).mkdir(parents=True)
            (folder / "sweep.yaml").write_text(spec.source_text, encoding="utf-8", newline="")
            write_atomically(folder / _SPEC, packed(spec_data(spec)))
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RunError(f"{folder}: cannot be made: {error.strerror or error}") from error
        write_atomically(folder / HEADER, json.dumps(dict(header), indent=2).encode())
        return cls(folder)

    @property
    def header(self) -> dict[str, Any]:
        """What identifies the search.

        Raises:
            RunError: it cannot be read.
        """
        file = self.folder / HEADER
        try:
            result = Record(read_json(file), str(file))
        except ForeignFileError as error:
            raise RunError(str(error)) from None
        for name in ("started", "spec_sha256", "library_sha256"):
            result.text(name)
        return result.data

    def spec(self, metrics: Sequence[DerivedMetric] = ()) -> Spec:
        """Return the sweep.

        Args:
            metrics: the derived metrics that it uses.

        Raises:
            RunError: it cannot be read.
        """
        return spec_of(read_record(self.folder / _SPEC), metrics)

    def _consents(self) -> str:
        """Return the options of `dse resume` that agree to what the sweep reaches for; "" where it cannot be read."""
        with contextlib.suppress(RunError):
            spec = self.spec()
            asked = {" --call-model": spec.model, " --open-storage": spec.search.storage}
            return "".join(option for option, named in asked.items() if named is not None)
        return ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been kept in it, not even where the search starts from."""
        return not (self.folder / _START).exists()

    @property
    def start(self) -> bytes | None:
        """The state that the search started from; None where it started from nothing."""
        return read_content(self.folder / _START) or None

    def set_start(self, state: bytes | None) -> None:
        """Keep the state that the search starts from."""
        write_atomically(self.folder / _START, state or b"")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from going on with the same search.

        Raises:
            RunError: one does already.
        """
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.folder}: another process is at this run") from None
            yield

    def kept(self) -> Iterator[tuple[int, int, Record]]:
        """Yield first, last and what is kept of every stretch, as far as they follow each other.

        Raises:
            RunError: a stretch is damaged.
        """
        stretches = {}
        for name in ("kept", "sampler"):
            (self.folder / name).mkdir(exist_ok=True)
        for path in (self.folder / "kept").iterdir():
            ends = path.name.split("-")
            if all(end.isdecimal() for end in ends):
                stretches[int(ends[0])] = int(ends[-1]), path
        place = min(stretches, default=0)
        while place in stretches:
            last, path = stretches[place]
            if last <= place:
                raise RecordError(f"{path}: is not named by its first and last design")
            try:
                yield place, last, read_record(path)
            except RecordError:
                raise RecordError(
                    f"{path}: is damaged; delete it and what comes after it, to search that again"
                ) from None
            place = last

    def sampler_at(self, place: int) -> bytes:
        """Return the state of the sampler when it had been told of `place` designs.

        Raises:
            RunError: there is none.
        """
        path = self.folder / "sampler" / f"{place:0{_DIGITS}d}"
        if not path.exists():
            where = f"{self.folder}/kept and {self.folder}/sampler"
            raise RunError(f"{path}: is missing; delete {where} to search again from where the run began")
        return read_content(path)

    def add(self, first: int, last: int, keeper: Archive, parts: Mapping[str, float], sampler: bytes | None) -> None:
        """Write what is kept of designs `first` to `last` (exclusive), and the sampler that has been told of them.

        Raises:
            RunError: it cannot be written.
        """
        if sampler is not None:
            write_atomically(self.folder / "sampler" / f"{last:0{_DIGITS}d}", sampler)
        kept: Data = {"keeper": keeper.state(), "parts": dict(parts)}
        write_atomically(self.folder / "kept" / f"{first:0{_DIGITS}d}-{last:0{_DIGITS}d}", packed(kept))
        if sampler is not None:
            for path in (self.folder / "sampler").iterdir():
                if path.name.isdecimal() and int(path.name) < last:
                    path.unlink()

    def remove(self) -> None:
        """Delete the state; without its header, which goes first, what is left of it is nothing to go on with."""
        with contextlib.suppress(OSError):
            (self.folder / HEADER).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

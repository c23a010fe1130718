"""A run directory as files: where it stands, written whole or not at all, sealed, and checked when it is read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cost_models.errors import ForeignFileError
from cost_models.library.foreign import opened
from dse.errors import RunError
from dse.results.manifest import MANIFEST, SEAL, again, digest_of, read_manifest

RESULTS = Path("results")
"""Where runs are kept unless told otherwise."""

MAX_BYTES = 2**32
"""Largest file of a run that is read."""


def place_for_run(name: str, identity: str, *, started: datetime, results: Path = RESULTS) -> Path:
    """Return a directory that does not exist yet: ``results/<name>/<UTC time>-<first 8 of identity>``."""
    stem = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{identity[:8]}"
    place, copy = results / name / stem, 1
    while place.exists():
        copy += 1
        place = results / name / f"{stem}-{copy}"
    return place


def check_links(directory: Path) -> None:
    """Check that nothing in a run directory stands elsewhere: a command would read, or write, what is not the run's.

    Raises:
        RunError: there is a symbolic link in it.
    """
    for folder, folders, files in os.walk(directory):
        if link := next((path for name in (*folders, *files) if (path := Path(folder, name)).is_symlink()), None):
            raise RunError(f"{link}: is a symbolic link, which no run has within; {again(directory)}")


def check_place(directory: Path) -> None:
    """Check that a run can be written to `directory`.

    Raises:
        RunError: it exists already, or a file stands where a directory is needed.
    """
    if directory.exists():
        raise RunError(f"{directory}: exists already, and a run is never overwritten; choose another --out")
    for parent in directory.parents:
        if parent.exists():
            if not parent.is_dir():
                raise RunError(f"{directory}: cannot be made, {parent} is a file")
            return


def write_whole(directory: Path, write: Callable[[Path], None]) -> None:
    """Make `directory` by calling `write` on an empty one beside it, and move that into place when it is done.

    Raises:
        RunError: the directory exists already or cannot be written.
    """
    check_place(directory)
    partial = directory.with_name(f".{directory.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        write(partial)
        partial.rename(directory)
    except OSError as error:
        raise RunError(f"{directory}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Provide a place beside a file to write to, which takes the place of the file when it is whole.

    Raises:
        RunError: it cannot be written.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def seal(directory: Path, names: Iterable[str] | None = None) -> None:
    """Note the SHA-256 of files of a run in its manifest, and that of the manifest itself.

    Args:
        directory: the run directory.
        names: the files, beside those that are noted; every file of a run that has just been written where None.

    Raises:
        RunError: the manifest cannot be read or written.
    """
    manifest = read_manifest(directory)
    if names is None:
        paths = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name != MANIFEST]
        names = [path.relative_to(directory).as_posix() for path in paths]
    sums = {name: _sha256_of_file(directory / name) for name in names}
    manifest["files"] = dict(sorted({**(manifest.get("files") or {}), **sums}.items()))
    with replacing(directory / MANIFEST) as partial:
        write_json(partial, {**manifest, SEAL: digest_of(manifest)})


def _sha256_of_file(path: Path) -> str:
    with opened(path, MAX_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked(directory: Path, name: str, manifest: Mapping[str, Any], remedy: str = "") -> Path:
    """Return a file of a run, held against the manifest where that has its checksum.

    Args:
        directory: the run directory.
        name: the file.
        manifest: its manifest.
        remedy: how to get the file back; by the same run again where empty.

    Raises:
        RunError: it is missing, cannot be read, or is not what the run wrote.
    """
    file, remedy = directory / name, remedy or again(directory)
    if not file.is_file():
        raise RunError(f"{file}: is missing; {remedy}")
    files = manifest.get("files")
    known = files.get(name) if isinstance(files, Mapping) else None
    try:
        if known is not None and _sha256_of_file(file) != known:
            raise RunError(f"{file}: is damaged, it is not what the run wrote; {remedy}")
        with opened(file, MAX_BYTES):
            return file
    except ForeignFileError as error:
        raise RunError(f"{error}; {remedy}") from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file that people can read."""
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")

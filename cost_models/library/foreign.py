"""Reading files that somebody else may have written: regular files of a size that such files have, as text or JSON."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, NoReturn

from cost_models.errors import ForeignFileError, near_names
from cost_models.library.plain_yaml import MAX_DEPTH

MAX_TEXT_BYTES = 16_000_000
"""Size up to which a file that people write is read; the largest of ours has 0.3 MB."""

MAX_DIGITS = 400
"""Most digits of a whole number."""

MAX_SEEN_FILES = 1000
"""Files of a folder among which one that was meant is looked for."""

_OTHERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file that it stands for (git lfs pull)",
    b"<!doctype html": "is an HTML page, not the file that it links to",
    b"<html": "is an HTML page, not the file that it links to",
}


@contextmanager
def opened(path: Path, max_bytes: int | None = None) -> Iterator[BufferedReader]:
    """Provide a regular file to read from its start, without waiting on a pipe.

    Args:
        path: the file.
        max_bytes: the largest that is read; any where None.

    Raises:
        ForeignFileError: it cannot be read, is no regular file, is too large, or stands for another file.
    """
    try:
        _check_kind(path, max_bytes)
        file = path.open("rb")
    except OSError as error:
        raise ForeignFileError(path, f"cannot be read: {error.strerror or error}{_meant(path)}") from None
    with file:
        yield file


def _meant(path: Path) -> str:
    """Return the file of the same folder that was probably meant in place of one that is not there, in words."""
    if path.exists() or path.is_symlink() or not path.parent.is_dir():
        return ""
    others = [one.name for one in islice(path.parent.iterdir(), MAX_SEEN_FILES) if one.is_file()]
    close = near_names(path.name, sorted(others), 1)
    return f"; perhaps {path.with_name(close[0])}" if close else ""


def _check_kind(path: Path, max_bytes: int | None) -> None:
    if "\0" in str(path):
        raise ForeignFileError(path, "cannot be read: no file has a NUL in its name")
    status = path.stat()
    if S_ISDIR(status.st_mode):
        raise ForeignFileError(path, "cannot be read: it is a folder, not a file")
    if not S_ISREG(status.st_mode):
        raise ForeignFileError(path, "cannot be read: it is not a regular file")
    if max_bytes is not None and status.st_size > max_bytes:
        raise ForeignFileError(path, f"cannot be read: it has {status.st_size:,} bytes, at most {max_bytes:,} are")
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    for other, what in _OTHERS.items():
        if start.startswith(other):
            raise ForeignFileError(path, f"cannot be read: it {what}")


def read_bytes(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Return the bytes of a file.

    Raises:
        ForeignFileError: as `opened`.
    """
    with opened(path, max_bytes) as file:
        return file.read(min(os.fstat(file.fileno()).st_size, max_bytes))


def read_text(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file.

    Raises:
        ForeignFileError: as `opened`, and where it is not UTF-8.
    """
    try:
        return read_bytes(path, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ForeignFileError(path, f"is not UTF-8 text (byte {error.start + 1})") from None


def read_json(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """Return what a JSON file holds: `json_of` its text.

    Raises:
        ForeignFileError: as `read_text` and `json_of`.
    """
    return json_of(read_text(path, max_bytes), path)


def json_of(text: str, path: Path, *, line: int = 0, allow_nan: bool = False) -> Any:
    """Return what a JSON text holds.

    Args:
        text: the text.
        path: the file that it stands in, for messages.
        line: its line there, 0 where it is the whole file.
        allow_nan: read NaN and infinity, which JSON has not but some programs write, as null.

    Raises:
        ForeignFileError: it is not JSON, nested too deep, has a key twice, or a number that is none or not finite.
    """

    def refuse(what: str) -> NoReturn:
        raise ForeignFileError(path, what, line)

    def number(word: str) -> float | None:
        value = float(word.replace("Infinity", "inf"))
        if math.isfinite(value):
            return value
        return None if allow_nan else refuse(f"{word[:40]} is not a finite number")

    def whole(word: str) -> int:
        return int(word) if len(word) <= MAX_DIGITS else refuse(f"a number of {len(word)} digits")

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
            refuse(f"the key {twice[:40]!r} is given twice")
        return result

    try:
        result = json.loads(text, parse_float=number, parse_constant=number, parse_int=whole, object_pairs_hook=mapping)
        if "\\ud" in text.lower():
            json.dumps(result, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ForeignFileError(path, f"is not JSON: {error.msg}, column {error.colno}", line or error.lineno) from None
    except UnicodeEncodeError:
        refuse("holds half of a character that is written as two (\\ud800 to \\udfff)")
    except RecursionError:
        refuse(_TOO_DEEP)
    level = [result]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _within(outer)]
    if level:
        refuse(_TOO_DEEP)
    return result


_TOO_DEEP = f"is nested deeper than {MAX_DEPTH} levels"


def _within(tree: Any) -> list[Any]:
    """Return the mappings and lists that stand in one."""
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [one for one in inner if isinstance(one, dict | list)]

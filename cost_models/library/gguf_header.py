"""Headers of GGUF files: fields and tensors, read without what lies behind them.

Layout: github.com/ggml-org/ggml, docs/gguf.md. Nothing is allocated for what a file declares: lengths are held against
the bytes that are there, and arrays longer than `MOST_KEPT` are passed over and counted.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cost_models.errors import LibraryError
from cost_models.library.foreign import opened

MAGIC, VERSIONS = b"GGUF", (2, 3)

MOST_FIELDS, MOST_TENSORS, MOST_ITEMS = 2**14, 2**18, 2**22
"""Most fields and tensors of a header, and items of an array; files have hundreds, thousands and a quarter million."""

MOST_BYTES = 2**26
"""Longest header that is read; those of files are a few megabytes long."""

MOST_KEPT = 4096
"""Longest array whose items are kept."""

MOST_LETTERS = 2**16
"""Longest text that is kept: names and short values."""

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file: its name, elements by dimension, and the number of its type."""

    name: str
    shape: tuple[int, ...]
    type_id: int

    @property
    def elements(self) -> int:
        """All of them."""
        count = 1
        for width in self.shape:
            count *= width
        return count


@dataclass(frozen=True)
class Items:
    """An array: how long it is, and its items where it is short."""

    count: int
    kept: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Header:
    """What stands before the data of a file."""

    fields: Mapping[str, Any]
    tensors: tuple[Tensor, ...]


class _Reader:
    def __init__(self, stream: BinaryIO, size: int, source: str) -> None:
        self._stream, self._left, self._source = stream, min(size, MOST_BYTES), source
        self._long = size > MOST_BYTES

    def fault(self, what: str) -> LibraryError:
        """Return an error about the file."""
        return LibraryError(f"{self._source}: {what}")

    def _spend(self, count: int) -> None:
        if count > self._left:
            cut = "cut off within its header: download the whole file, or give config.json"
            raise self.fault(f"not a GGUF header: longer than {MOST_BYTES >> 20} MiB" if self._long else cut)
        self._left -= count

    def skip(self, count: int) -> None:
        """Pass over bytes that must be there."""
        self._spend(count)
        self._stream.seek(count, 1)

    def take(self, count: int) -> bytes:
        """Return bytes that must be there."""
        self._spend(count)
        return self._stream.read(count)

    def number(self, kind: int) -> Any:
        """Return a number of a kind."""
        form = _NUMBERS[kind]
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def length(self, most: int, what: str) -> int:
        """Return a length that must be sensible."""
        count = int(self.number(10))
        if count > most:
            raise self.fault(f"not a GGUF header: {count} {what}, {most} at most are read")
        return count

    def text(self, *, keep: bool = True) -> str:
        """Return a text, nothing where it is not kept."""
        count = int(self.number(10))
        if not keep or count > MOST_LETTERS:
            self.skip(count)
            return ""
        return self.take(count).decode("utf-8", errors="replace")

    def value(self) -> Any:
        """Return the value of a field."""
        kind = int(self.number(4))
        if kind in _NUMBERS:
            return self.number(kind)
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            raise self.fault(f"not a GGUF header: a value of kind {kind}")
        inner, count = int(self.number(4)), self.length(MOST_ITEMS, "items of an array")
        keep = count <= MOST_KEPT
        if inner == _TEXT:
            texts = [self.text(keep=keep) for _ in range(count)]
            return Items(count, tuple(texts) if keep else ())
        if inner not in _NUMBERS:
            raise self.fault(f"not a GGUF header: an array of kind {inner}")
        if not keep:
            self.skip(count * struct.calcsize(_NUMBERS[inner]))
            return Items(count)
        return Items(count, tuple(self.number(inner) for _ in range(count)))

    def tensor(self) -> Tensor:
        """Return the description of a tensor."""
        name, count = self.text(), int(self.number(4))
        if count > 8:
            raise self.fault(f"not a GGUF header: a tensor of {count} dimensions")
        shape = tuple(int(self.number(10)) for _ in range(count))
        kind = int(self.number(4))
        self.number(10)
        return Tensor(name, shape, kind)


def read_header(file: Path) -> Header:
    """Return the header of a GGUF file.

    Raises:
        LibraryError: the file is none, is cut off within its header, or declares what no such file has.
    """
    with opened(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        reader = _Reader(stream, size, str(file))
        if reader.take(min(size, 4)) != MAGIC:
            raise reader.fault("not a GGUF file")
        version = int(reader.number(4))
        if version not in VERSIONS:
            raise reader.fault(f"GGUF version {version} is not one of {', '.join(map(str, VERSIONS))}")
        tensors, fields = reader.length(MOST_TENSORS, "tensors"), reader.length(MOST_FIELDS, "fields")
        told = {reader.text(): reader.value() for _ in range(fields)}
        return Header(told, tuple(reader.tensor() for _ in range(tensors)))

"""Plain data with arrays as one block of bytes, for what a search keeps on disk: data only, nothing is ever executed.

The bytes are a ``.safetensors`` file (the length of a JSON header, the header, the arrays one after the other), which
any reader of that format opens. Its ``__metadata__`` holds the tree of plain data as JSON, in which
``{"$array": "3"}`` stands for array 3, and a SHA-256 of everything else, so that damage is told from a wrong record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dse.errors import RecordError

Data: TypeAlias = Any
"""Mappings with text as keys, lists, text, whole and finite numbers, booleans, None, bytes, and arrays."""

_ARRAY, _BYTES = "$array", "$bytes"
_LENGTH_BYTES = 8
_DTYPES = {
    "F64": "<f8", "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "I8": "<i1", "U8": "<u1",
    "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(kind): name for name, kind in _DTYPES.items()}


def packed(tree: Data) -> bytes:
    """Return plain data as bytes.

    Raises:
        TypeError, ValueError: it holds something else than plain data.
    """
    arrays: list[NDArray[Any]] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(np.ascontiguousarray(value, value.dtype.newbyteorder("<")))
            return {_ARRAY: str(len(arrays) - 1)}
        if isinstance(value, bytes):
            arrays.append(np.frombuffer(value, np.uint8))
            return {_BYTES: str(len(arrays) - 1)}
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) and not key.startswith("$") for key in value):
                raise TypeError(f"keys must be text without $, got {list(value)}")
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        return value

    text = json.dumps(plain(tree), allow_nan=False)
    entries, place = {}, 0
    for number, array in enumerate(arrays):
        entries[str(number)] = _entry(_NAMES[array.dtype], array.shape, place, array.nbytes)
        place += array.nbytes
    contents = [array.tobytes() for array in arrays]
    header = {"__metadata__": {"tree": text, "sha256": _digest(text, entries, contents)}, **entries}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % _LENGTH_BYTES)
    return b"".join([len(head).to_bytes(_LENGTH_BYTES, "little"), head, *contents])


def _entry(dtype: str, shape: Sequence[int], start: int, size: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, start + size]}


def _digest(text: str, entries: Mapping[str, Any], contents: Sequence[bytes | memoryview]) -> str:
    digest = hashlib.sha256(json.dumps([text, entries]).encode())
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def read_packed(content: bytes, what: str) -> Record:
    """Return what `packed` made bytes of.

    Args:
        content: the bytes.
        what: what they are, for messages: a file mostly.

    Raises:
        RecordError: they are damaged, cut off, or something else.
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    head, body = content[_LENGTH_BYTES : _LENGTH_BYTES + length], memoryview(content)[_LENGTH_BYTES + length :]
    try:
        if len(head) < length:
            raise ValueError
        header = Record(json.loads(head), what)
        about, names = header.part("__metadata__"), [name for name in header.data if name != "__metadata__"]
        entries = {name: header.part(name).data for name in names}
        text = about.text("tree")
        if about.text("sha256") != _digest(text, entries, [body]):
            raise ValueError
        arrays = {name: _array(header.part(name), body) for name in names}
        return Record(_whole(json.loads(text), arrays), what)
    except (ValueError, RecursionError, RecordError):
        raise RecordError(f"{what}: is damaged, cut off, or not a record of a search") from None


def _array(entry: Record, body: memoryview) -> NDArray[Any]:
    """Return one array, as its own copy."""
    name, shape = entry.text("dtype"), entry.wholes("shape")
    first, last = entry.wholes("data_offsets")
    if name not in _DTYPES or not first <= last <= len(body):
        raise ValueError
    flat: NDArray[Any] = np.frombuffer(body[first:last], _DTYPES[name])
    return flat.reshape(shape).copy()


def _whole(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return a tree with the arrays put back in."""
    if isinstance(value, list):
        return [_whole(inner, arrays) for inner in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (kind := next(iter(value))) in (_ARRAY, _BYTES):
        result = arrays.get(str(value[kind]))
        if result is None or (kind == _BYTES and result.dtype != np.uint8):
            raise ValueError
        return result if kind == _ARRAY else result.tobytes()
    return {key: _whole(inner, arrays) for key, inner in value.items()}


class Record:
    """A mapping that was read from disk; whoever asks says of what type and range a value must be.

    Args:
        data: the mapping.
        what: what it is, for messages.

    Raises:
        RecordError: it is no mapping; every method raises it where a value is not what it must be.
    """

    def __init__(self, data: Any, what: str) -> None:
        if not isinstance(data, dict):
            raise RecordError(f"{what}: is not a mapping")
        self.data: dict[str, Any] = data
        self._what = what

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) is not None

    def wrong(self, key: str, must_be: str) -> RecordError:
        """Return what to raise of the value of a key."""
        return RecordError(f"{self._what}: {key} is not {must_be}")

    def _value(self, key: str, kinds: tuple[type, ...], must_be: str) -> Any:
        value = self.data.get(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(key, must_be)
        return value

    def whole(self, key: str, *, low: int = 0, high: int = 2**63 - 1) -> int:
        """Return a whole number within bounds."""
        value: int = self._value(key, (int,), "a whole number")
        if not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def wholes(self, key: str) -> tuple[int, ...]:
        """Return a list of whole numbers, none below 0."""
        values = self._value(key, (list,), "a list of whole numbers")
        if not all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 for value in values):
            raise self.wrong(key, "a list of whole numbers")
        return tuple(values)

    def matrix(self, key: str, width: int) -> list[tuple[int, ...]]:
        """Return a list of lists of so many whole numbers (or booleans), none below 0."""
        rows = self._value(key, (list,), "a list of lists")
        for row in rows:
            if (
                not isinstance(row, list)
                or len(row) != width
                or not all(isinstance(one, int) and one >= 0 for one in row)
            ):
                raise self.wrong(key, f"a list of lists of {width} whole numbers")
        return [tuple(row) for row in rows]

    def number(self, key: str, *, low: float = -1e300, high: float = 1e300) -> float:
        """Return a number within bounds."""
        value = self._value(key, (int, float), "a number")
        if not low <= value <= high:
            raise self.wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        return bool(self._value(key, (bool,), "true or false"))

    def text(self, key: str) -> str:
        """Return text."""
        return str(self._value(key, (str,), "text"))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self._value(key, (list,), "a list of words")
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of words")
        return tuple(values)

    def content(self, key: str) -> bytes:
        """Return bytes."""
        return bytes(self._value(key, (bytes,), "bytes"))

    def part(self, key: str) -> Record:
        """Return a mapping within."""
        return Record(self._value(key, (dict,), "a mapping"), f"{self._what}: {key}")

    def parts(self, key: str) -> list[Record]:
        """Return a list of mappings."""
        values = self._value(key, (list,), "a list")
        return [Record(value, f"{self._what}: {key}[{place}]") for place, value in enumerate(values)]

    def array(self, key: str, kind: type[np.generic], *shape: int | None) -> NDArray[Any]:
        """Return an array of a shape, in which None stands for any length.

        Args:
            key: the key.
            kind: NumPy's type of its entries; narrower whole numbers stand for wider ones.
            shape: the length of each dimension.
        """
        value: NDArray[Any] = self._value(key, (np.ndarray,), "an array")
        fits = len(value.shape) == len(shape) and all(
            wanted in (None, there) for wanted, there in zip(shape, value.shape, strict=True)
        )
        if not fits or not np.can_cast(value.dtype, kind, "safe"):
            lengths = ", ".join("any" if length is None else str(length) for length in shape)
            raise self.wrong(key, f"an array ({lengths}) of {np.dtype(kind).name}")
        return value.astype(kind)

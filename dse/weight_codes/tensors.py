"""Tensors from files: NumPy's ``.npy`` and ``.safetensors``, one tensor at a time.

A ``.safetensors`` file is the length of its header in 8 bytes, the header as JSON (name to dtype, shape and place of
the bytes), and the bytes (huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cost_models.library.foreign import MAX_TEXT_BYTES, json_of, opened
from dse.errors import TensorError
from dse.packing import Record

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1",
}  # fmt: skip

MAX_HEADER_BYTES = MAX_TEXT_BYTES
"""Longest header that is read; those of files are a few megabytes long."""

MAX_WEIGHTS = 2**28
"""Most weights of a tensor: a matrix of 16,384 by 16,384; coding them takes minutes."""

_NPY_MAGIC = b"\x93NUMPY"
_NPY_FIELDS = {
    "descr": r"'([^']{1,40})'", "fortran_order": "(True|False)", "shape": r"\(((?: ?\d{1,19},?)*)\)",
}  # fmt: skip
"""What the header of an ``.npy`` says, as NumPy writes it; objects and records have another ``descr``."""


def read_tensor(path: Path, name: str | None = None) -> NDArray[Any]:
    """Return the tensor in a file.

    Args:
        path: ``.npy`` or ``.safetensors``.
        name: tensor in a file that holds several.

    Raises:
        ForeignFileError: the file cannot be read.
        TensorError: no such tensor, another kind of file, or one that is damaged, cut off or too large.
    """
    if path.suffix not in (".npy", ".safetensors"):
        raise TensorError(f"{path}: must be a .npy or .safetensors file")
    if path.suffix == ".npy" and name is not None:
        raise TensorError(f"{path}: a .npy file holds one tensor without a name, got --tensor {name}")
    with opened(path) as file:
        return _safetensors(path, file, name) if path.suffix == ".safetensors" else _npy(path, file)


def _npy(path: Path, file: BinaryIO) -> NDArray[Any]:
    """Return the array of an ``.npy`` file (NumPy, NEP 1), which may be of numbers only."""
    start = file.read(8)
    if start.startswith(b"PK"):
        raise TensorError(f"{path}: is an archive of several arrays (.npz); save one of them as .npy")
    width = {b"\1": 2, b"\2": 4, b"\3": 4}.get(start[6:7], 0)
    length = int.from_bytes(file.read(width), "little")
    text = file.read(length).decode("latin-1") if start.startswith(_NPY_MAGIC) and length <= MAX_HEADER_BYTES else ""
    found = {key: re.search(rf"'{key}': ?{says}\s*[,}}]", text) for key, says in _NPY_FIELDS.items()}
    if not width or len(text) < length or not all(found.values()):
        raise TensorError(f"{path}: is no .npy file of numbers, or is cut off in its header")
    descr, order, sizes = (match[1] for match in found.values() if match)
    if not re.fullmatch("[<>|=]?[fiu][1248]", descr):
        raise TensorError(f"{path}: holds values of type {descr!r}, not real numbers of 1 to 8 bytes")
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    _check_size(path, "the array", shape)
    flat = _numbers(path, file, "the array", descr, file.tell(), math.prod(shape))
    return flat.reshape(shape, order="F" if order == "True" else "C")


def _check_size(path: Path, name: str, shape: Sequence[int]) -> None:
    if not 0 < math.prod(shape) <= MAX_WEIGHTS:
        held = f"{math.prod(shape):.3g}" if math.prod(shape) < 1e300 else "more than 1e300"
        raise TensorError(f"{path}: {name} of shape {_short(shape)} has {held} weights, not 1 to {MAX_WEIGHTS:,}")


def _short(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) if len(shape) <= 8 else f"{len(shape)} dimensions"


def _numbers(path: Path, file: BinaryIO, name: str, dtype: str, first: int, count: int) -> NDArray[Any]:
    """Return so many numbers of a file from a place on, which must all be there."""
    needed = first + count * np.dtype(dtype).itemsize
    size = os.fstat(file.fileno()).st_size
    if size < needed:
        raise TensorError(f"{path}: is cut off or damaged: {name} ends at byte {needed:,} of {size:,}")
    return np.fromfile(path, dtype, count, offset=first)


def _safetensors(path: Path, file: BinaryIO, name: str | None) -> NDArray[Any]:
    header, start = _header(path, file)
    if not header:
        raise TensorError(f"{path}: holds no tensor")
    if name is None and len(header) > 1:
        raise TensorError(f"{path}: holds {len(header)} tensors, choose one with --tensor: {_some(header)}")
    chosen = next(iter(header)) if name is None else name
    if chosen not in header:
        raise TensorError(f"{path}: holds no tensor {chosen!r}; there are {_some(header)}")
    entry = Record(header[chosen], f"{path}: the header entry of {chosen!r}")
    dtype, shape, places = entry.text("dtype"), entry.wholes("shape"), entry.wholes("data_offsets")
    if dtype not in DTYPES:
        raise TensorError(f"{path}: {chosen!r} is of dtype {dtype[:40]!r}; it must be one of {', '.join(DTYPES)}")
    _check_size(path, repr(chosen), shape)
    count = math.prod(shape)
    if len(places) != 2 or places[1] - places[0] != count * np.dtype(DTYPES[dtype]).itemsize:
        raise TensorError(f"{path}: is damaged: {chosen!r} of {dtype} {_short(shape)} has other bytes than its shape")
    flat = _numbers(path, file, repr(chosen), DTYPES[dtype], start + places[0], count)
    if dtype == "BF16":
        flat = (flat.astype("<u4") << 16).view("<f4")
    return flat.reshape(shape)


def _header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the entries of the tensors and where their bytes begin."""
    length = int.from_bytes(file.read(8), "little")
    text = file.read(length) if length <= MAX_HEADER_BYTES else b""
    if len(text) < length or not length or not text.startswith(b"{"):
        raise TensorError(f"{path}: is no .safetensors file, or is cut off in its header")
    header = json_of(text.decode("utf-8", errors="replace"), path)
    header.pop("__metadata__", None)
    return header, 8 + length


def _some(names: dict[str, Any]) -> str:
    shown = [name[:40] for name in list(names)[:8]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")

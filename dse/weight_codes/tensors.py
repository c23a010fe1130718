"""Tensors from files: NumPy's ``.npy`` and ``.safetensors``, one tensor at a time.

A ``.safetensors`` file is the length of its header in 8 bytes, the header as JSON (name to dtype, shape and place of
the bytes), and the bytes (huggingface/safetensors, README, "Format").
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dse.errors import TensorError

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1",
}  # fmt: skip

MAX_HEADER_BYTES = 100_000_000
"""What the format allows a header to take."""


def read_tensor(path: Path, name: str | None = None) -> NDArray[Any]:
    """Return the tensor in a file.

    Args:
        path: ``.npy`` or ``.safetensors``.
        name: tensor in a file that holds several.

    Raises:
        TensorError: no such file or tensor, another kind of file, or one that is damaged or cut off.
    """
    if path.suffix not in (".npy", ".safetensors"):
        raise TensorError(f"{path}: must be a .npy or .safetensors file")
    if not path.is_file():
        raise TensorError(f"{path}: there is no such file")
    if path.suffix == ".safetensors":
        return _safetensors(path, name)
    if name is not None:
        raise TensorError(f"{path}: a .npy file holds one tensor without a name, got --tensor {name}")
    try:
        tensor: NDArray[Any] = np.load(path, allow_pickle=False)
        if not isinstance(tensor, np.ndarray):
            raise ValueError("it is an archive of several arrays")
    except MemoryError as error:
        raise TensorError(f"{path}: does not fit the memory of this machine: {error}") from None
    except (ValueError, EOFError, OSError) as error:
        raise TensorError(f"{path}: cannot be read as .npy, it is damaged or cut off: {error}") from None
    return tensor


def _safetensors(path: Path, name: str | None) -> NDArray[Any]:
    header, start = _header(path)
    if not header:
        raise TensorError(f"{path}: holds no tensor")
    if name is None and len(header) > 1:
        raise TensorError(f"{path}: holds {len(header)} tensors, choose one with --tensor: {_some(header)}")
    chosen = next(iter(header)) if name is None else name
    if chosen not in header:
        raise TensorError(f"{path}: holds no tensor {chosen!r}; there are {_some(header)}")
    try:
        entry = header[chosen]
        dtype, shape = entry["dtype"], tuple(int(size) for size in entry["shape"])
        first, last = (int(place) for place in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise TensorError(f"{path}: the header entry of {chosen} is damaged") from None
    if dtype not in DTYPES:
        raise TensorError(f"{path}: {chosen} is of dtype {dtype}; it must be one of {', '.join(DTYPES)}")
    count = math.prod(shape)
    if (
        min(first, *shape, 0) < 0
        or last - first != count * np.dtype(DTYPES[dtype]).itemsize
        or path.stat().st_size < start + last
    ):
        raise TensorError(f"{path}: is cut off or damaged: {chosen} of {dtype} {list(shape)} is not all there")
    flat = np.fromfile(path, DTYPES[dtype], count, offset=start + first)
    if dtype == "BF16":
        flat = (flat.astype("<u4") << 16).view("<f4")
    return flat.reshape(shape)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the entries of the tensors and where their bytes begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= MAX_HEADER_BYTES else b""
    try:
        if len(text) < length or not length:
            raise ValueError
        header = json.loads(text)
        header.pop("__metadata__", None)
    except (ValueError, AttributeError):
        raise TensorError(f"{path}: is no .safetensors file, or is cut off in its header") from None
    return header, 8 + length


def _some(names: dict[str, Any]) -> str:
    shown = list(names)[:8]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")

"""Reading files that somebody else may have written: regular files of a size that such files have, as text."""

from __future__ import annotations

import errno
from pathlib import Path
from stat import S_ISREG

MAX_TEXT_BYTES = 16_000_000
"""Size up to which a file that people write is read; the largest of ours has 0.3 MB."""

_OTHERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the file that it stands for (git lfs pull)",
    b"<!doctype html": "is an HTML page, not the file that it links to",
    b"<html": "is an HTML page, not the file that it links to",
}


def read_bytes(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Return the bytes of a regular file, as `Path.read_bytes` does, without waiting on a pipe or reading for ever.

    Raises:
        OSError: it cannot be read, is no regular file, is too large, or stands for another file.
    """
    status = path.stat()
    if not S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    if status.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, at most {max_bytes:,} are read", str(path))
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    for start, what in _OTHERS.items():
        if content[:64].lstrip().lower().startswith(start):
            raise OSError(errno.EINVAL, f"it {what}", str(path))
    return content

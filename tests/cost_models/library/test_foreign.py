"""Files that are something else are refused in one line, at once."""

import os

import numpy as np
import pytest

from tests.cli import call

CONTENTS = {
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "page": b"  <!DOCTYPE html><html></html>",
    "latin": "name: caf\u00e9".encode("latin-1"),
    "nul": b"memory:\n  a: \0\n",
    "utf16": "name: x".encode("utf-16"),
    "deep": b"[" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("kind", [*CONTENTS, "fifo", "folder", "zero", "large"])
def test_what_is_no_sweep_and_no_library_is_refused_in_words(tmp_path, kind):
    (tmp_path / "library").mkdir()
    for file in (tmp_path / "sweep.yaml", tmp_path / "library" / "a.yaml"):
        if kind == "fifo":
            os.mkfifo(file)
        elif kind == "folder":
            file.mkdir()
        elif kind == "zero":
            file.symlink_to("/dev/zero")
        elif kind == "large":
            with file.open("wb") as sparse:
                sparse.truncate(1 << 40)
        else:
            file.write_bytes(CONTENTS[kind])
    for arguments in (
        ("check", tmp_path / "sweep.yaml"),
        ("check", "sweeps/quickstart.yaml", "--library", tmp_path / "library"),
    ):
        done = call(*arguments)
        assert done.status == 2 and "internal error" not in done.err, done.err
        assert done.err.count("\n") <= 2 and ".yaml" in done.err


def test_an_archive_is_no_tensor(tmp_path):
    with (tmp_path / "t.npy").open("wb") as file:
        np.savez(file, a=np.zeros((4, 4)))
    done = call("compress", tmp_path / "t.npy")
    assert done.status == 2 and "archive" in done.err

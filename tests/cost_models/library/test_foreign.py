"""Files that are something else are refused in one line, at once."""

import os

import numpy as np
import pytest

from cost_models.errors import ForeignFileError
from cost_models.library.foreign import json_of, opened, read_bytes, read_json, read_text
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


def refusal(read, *arguments, **options):
    with pytest.raises(ForeignFileError) as caught:
        read(*arguments, **options)
    return str(caught.value)


def nested(levels):
    return "[" * levels + "]" * levels


def test_json_is_read_up_to_its_limits(tmp_path):
    path = tmp_path / "a.json"
    assert json_of(nested(40), path) and json_of('{"a": ' + nested(39) + "}", path)
    assert json_of("9" * 400, path) == int("9" * 400) and json_of("-1.5e3", path) == -1500.0
    assert json_of('"\\ud83d\\ude00"', path) == "\N{GRINNING FACE}"
    assert json_of("[NaN, Infinity, -Infinity, 2.0]", path, allow_nan=True) == [None, None, None, 2.0]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (nested(41), 0, ": is nested deeper than 40 levels"),
        ('{"a": ' + nested(40) + "}", 0, ": is nested deeper than 40 levels"),
        ("9" * 401, 0, ": a number of 401 digits"),
        ("NaN", 0, ": NaN is not a finite number"),
        ("[1, -Infinity]", 7, ":7: -Infinity is not a finite number"),
        ("1e999", 0, ": 1e999 is not a finite number"),
        ('{"a": 1, "b": 2, "b": 3}', 0, ": the key 'b' is given twice"),
        ('"\\uD83D"', 0, ": holds half of a character that is written as two (\\ud800 to \\udfff)"),
        ("[1,\n 2 3]", 0, ":2: is not JSON: Expecting ',' delimiter, column 4"),
        ("[1,\n 2 3]", 9, ":9: is not JSON: Expecting ',' delimiter, column 4"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(tmp_path, text, line, told):
    path = tmp_path / "a.json"
    options = {"line": line} if line else {}
    assert refusal(json_of, text, path, **options) == f"{path}{told}"


def test_a_file_is_read_up_to_its_size_and_past_its_mark(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf[1, 2]")
    assert read_bytes(path, 9) == b"\xef\xbb\xbf[1, 2]" and read_text(path) == "[1, 2]" and read_json(path) == [1, 2]
    assert refusal(read_json, path, 8) == f"{path}: cannot be read: it has 9 bytes, at most 8 are"
    with opened(path) as stream:
        assert stream.read() == path.read_bytes()
    path.write_bytes(b"[1, \xff]")
    assert refusal(read_text, path) == f"{path}: is not UTF-8 text (byte 5)"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b" \n <!DocType HTML>", "is an HTML page, not the file that it links to"),
        (b"<HTML lang=en>", "is an HTML page, not the file that it links to"),
        (CONTENTS["pointer"], "is a Git LFS pointer, not the file that it stands for (git lfs pull)"),
    ],
)
def test_a_page_or_a_pointer_is_told(tmp_path, content, what):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert refusal(read_json, path) == f"{path}: cannot be read: it {what}"


def test_a_near_name_is_offered_where_a_file_is_missing(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "confg.json.d").mkdir()
    missing, other = tmp_path / "confg.json", tmp_path / "weights.bin"
    none = "cannot be read: No such file or directory"
    assert refusal(read_json, missing) == f"{missing}: {none}; perhaps {tmp_path / 'config.json'}"
    assert refusal(read_json, other) == f"{other}: {none}"
    assert refusal(read_json, tmp_path / "no" / "config.json") == f"{tmp_path / 'no' / 'config.json'}: {none}"
    broken = tmp_path / "confi.json"
    broken.symlink_to(tmp_path / "gone")
    assert refusal(read_json, broken) == f"{broken}: {none}"
    assert "no file has a NUL in its name" in refusal(read_json, tmp_path / "a\0b")
    assert refusal(read_json, tmp_path) == f"{tmp_path}: cannot be read: it is a folder, not a file"

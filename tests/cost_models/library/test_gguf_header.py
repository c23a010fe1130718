"""GGUF headers, byte by byte as docs/gguf.md of ggml lays them out, up to every limit and one beyond."""

import os
import struct

import pytest

from cost_models.errors import LibraryError
from cost_models.library import gguf_header
from cost_models.library.gguf_header import Items, Tensor, read_header

KINDS = {
    0: ("B", 200), 1: ("b", -100), 2: ("H", 60000), 3: ("h", -30000), 4: ("I", 4_000_000_000), 5: ("i", -2_000_000_000),
    6: ("f", 0.5), 7: ("?", True), 10: ("Q", 2**63), 11: ("q", -(2**62)), 12: ("d", 1e300),
}  # fmt: skip


def text(value):
    return struct.pack("<Q", len(value)) + value


def number(kind, value):
    return struct.pack(f"<{KINDS[kind][0]}", value)


def value(kind, content):
    return struct.pack("<I", kind) + content


def array(kind, count, content):
    return value(9, struct.pack("<IQ", kind, count) + content)


def tensor(name, shape, kind=0):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)


def written(folder, fields, tensors=(), *, version=3, counts=None, magic=b"GGUF"):
    path = folder / "a.gguf"
    made = [text(name) + content for name, content in fields]
    head = magic + struct.pack("<IQQ", version, *(counts or (len(tensors), len(made))))
    path.write_bytes(head + b"".join(made) + b"".join(tensors))
    return path


def refusal(path):
    with pytest.raises(LibraryError) as caught:
        read_header(path)
    return str(caught.value).removeprefix(f"{path}: ")


CUT = "cut off within its header: download the whole file, or give config.json"


@pytest.mark.parametrize("version", [2, 3])
def test_every_kind_of_value_and_tensor_is_read_as_it_was_written(tmp_path, version):
    fields = [(f"n{kind}".encode(), value(kind, number(kind, what))) for kind, (_, what) in KINDS.items()]
    fields += [(f"a{kind}".encode(), array(kind, 2, 2 * number(kind, what))) for kind, (_, what) in KINDS.items()]
    fields += [(b"text", value(8, text("caf\u00e9".encode()))), (b"bad", value(8, text(b"\xff")))]
    fields += [(b"texts", array(8, 2, text(b"x") + text(b""))), (b"none", array(8, 0, b""))]
    tensors = [tensor(b"a", (2, 3, 4), 14), tensor(b"b", ()), tensor(b"c", (1, 2, 3, 4, 5, 6, 7, 8), 1)]
    header = read_header(written(tmp_path, fields, tensors, version=version))
    for kind, (_, what) in KINDS.items():
        assert header.fields[f"n{kind}"] == what and header.fields[f"a{kind}"] == Items(2, (what, what))
    assert (header.fields["text"], header.fields["bad"]) == ("caf\u00e9", "\ufffd")
    assert (header.fields["texts"], header.fields["none"]) == (Items(2, ("x", "")), Items(0))
    assert header.tensors[0] == Tensor("a", (2, 3, 4), 14)
    assert [one.elements for one in header.tensors] == [24, 1, 40320]
    assert [one.type_id for one in header.tensors] == [14, 0, 1]


def test_long_arrays_and_texts_are_counted_and_passed_over(tmp_path):
    fields = [
        (b"short", array(2, 4096, bytes(8192))), (b"long", array(2, 4097, bytes(8194))),
        (b"texts", array(8, 4097, 4097 * text(b"ab"))), (b"letters", value(8, text(b"x" * 65536))),
        (b"more", value(8, text(b"x" * 65537))), (b"end", value(7, b"\1")),
    ]  # fmt: skip
    told = read_header(written(tmp_path, fields)).fields
    assert told["short"] == Items(4096, (0,) * 4096)
    assert (told["long"], told["texts"]) == (Items(4097), Items(4097))
    assert (told["letters"], told["more"], told["end"]) == ("x" * 65536, "", True)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((2**18, 0), CUT),
        ((2**18 + 1, 0), "not a GGUF header: 262145 tensors, 262144 at most are read"),
        ((0, 2**14), CUT),
        ((0, 2**14 + 1), "not a GGUF header: 16385 fields, 16384 at most are read"),
    ],
)
def test_more_fields_and_tensors_than_any_file_has_are_refused(tmp_path, counts, told):
    assert refusal(written(tmp_path, [], counts=counts)) == told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (array(0, 2**22, b""), CUT),
        (array(0, 2**22 + 1, b""), "not a GGUF header: 4194305 items of an array, 4194304 at most are read"),
        (array(9, 1, b""), "not a GGUF header: an array of kind 9"),
        (value(13, b""), "not a GGUF header: a value of kind 13"),
        (value(4, b"\0\0\0"), CUT),
        (value(8, struct.pack("<Q", 2**60)), CUT),
    ],
)
def test_values_that_no_file_has_are_refused(tmp_path, content, told):
    assert refusal(written(tmp_path, [(b"x", content)])) == told


def test_what_is_no_header_is_refused(tmp_path):
    assert refusal(written(tmp_path, [], magic=b"GGML")) == "not a GGUF file"
    (tmp_path / "a.gguf").write_bytes(b"GG")
    assert refusal(tmp_path / "a.gguf") == "not a GGUF file"
    assert refusal(written(tmp_path, [], version=1)) == "GGUF version 1 is not one of 2, 3"
    nine = [tensor(b"a", (1,) * 9)]
    assert refusal(written(tmp_path, [], nine)) == "not a GGUF header: a tensor of 9 dimensions"
    whole = written(tmp_path, [(b"x", value(0, b"\7"))], [tensor(b"a", (5,))])
    assert read_header(whole).fields == {"x": 7}
    for size in range(whole.stat().st_size - 1, 3, -1):
        os.truncate(whole, size)
        assert refusal(whole) == CUT


def test_a_header_is_read_up_to_its_longest(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_header, "MOST_BYTES", 2**20)
    fields = [(b"x", array(0, 2**20 - 24 - 25, bytes(2**20 - 24 - 25)))]
    path = written(tmp_path, fields)
    assert path.stat().st_size == 2**20
    assert read_header(path).fields["x"].count == 2**20 - 49
    longer = written(tmp_path, [(b"x", array(0, 2**20 - 48, bytes(2**20 - 48)))])
    assert refusal(longer) == "not a GGUF header: longer than 1 MiB"

"""Records on disk: byte by byte as the format says, and every kind of value just inside and outside what it must be."""

import hashlib
import json

import numpy as np
import pytest

from dse.errors import RecordError
from dse.packing import Record, packed, read_packed

ARRAYS = {
    "f": np.array([[1.5, -2.0, np.nan], [np.inf, 0.0, 3.0]]), "i": np.array([1, -(2**62)]),
    "u": np.array([2**64 - 1], "<u8"),
    "i4": np.array([[-5]], "<i4"), "u4": np.array([5], "<u4"), "i2": np.array([7, 8, 9], "<i2"),
    "i1": np.array([-1], "i1"),
    "u1": np.array([], "u1"), "b": np.array([True, False]), "swapped": np.array([1.0, 2.0], ">f8"),
    "cut": np.arange(10.0)[::3],
}  # fmt: skip
TREE = {
    "text": "é",
    "list": [1, 2.5, None, True, {"a": [ARRAYS["i"], b"\0\xff"]}],
    "arrays": ARRAYS,
    "none": {},
    "tuple": (1,),
}


def assert_same(found, wanted):
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key, inner in wanted.items():
            assert_same(found[key], inner)
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype.newbyteorder("<") and found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)
    else:
        assert type(found) is type(wanted) and found == wanted


def test_plain_data_comes_back_as_it_was():
    assert_same(read_packed(packed(TREE), "it").data, {**TREE, "tuple": [1]})


def test_the_bytes_are_a_file_of_safetensors():
    content = packed({"a": np.array([1.0, 2.0]), "b": np.array([True]), "c": [np.array([[3]], "<i2")]})
    length = int.from_bytes(content[:8], "little")
    head, body = content[8 : 8 + length], content[8 + length :]
    header = json.loads(head)
    about = header.pop("__metadata__")
    assert length % 8 == 0 and len(head.rstrip()) > length - 8
    assert json.loads(about["tree"]) == {"a": {"$array": "0"}, "b": {"$array": "1"}, "c": [{"$array": "2"}]}
    assert header == {
        "0": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]},
        "1": {"dtype": "BOOL", "shape": [1], "data_offsets": [16, 17]},
        "2": {"dtype": "I16", "shape": [1, 1], "data_offsets": [17, 19]},
    }
    assert body == np.array([1.0, 2.0]).tobytes() + b"\1" + b"\3\0"
    told = hashlib.sha256(json.dumps([about["tree"], header]).encode() + body).hexdigest()
    assert about["sha256"] == told


@pytest.mark.parametrize(
    "tree", [{1: 2}, {"$a": 1}, [float("nan")], {"a": object()}, np.array(["x"]), {"a": {"$array": "0"}}]
)
def test_what_is_not_plain_data_is_refused(tree):
    with pytest.raises((TypeError, ValueError, KeyError)):
        packed(tree)


def test_no_byte_can_be_changed_or_lost():
    content = packed({"a": np.array([1, 2]), "b": b"xy", "c": "t"})
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for damaged in (changed, content[:place]):
            try:
                data = read_packed(damaged, "it").data
            except RecordError as error:
                assert str(error) == "it: is damaged, cut off, or not a record of a search"
            else:
                # Spaces behind the header stand for themselves.
                assert content[place : place + 1] == b" " and damaged is changed, place
                assert data["c"] == "t"
    with pytest.raises(RecordError):
        read_packed(content + b"x", "it")


def forged(tree, entries, body=b""):
    text = json.dumps(tree)
    digest = hashlib.sha256(json.dumps([text, entries]).encode() + body).hexdigest()
    head = json.dumps({"__metadata__": {"tree": text, "sha256": digest}, **entries}).encode()
    return len(head).to_bytes(8, "little") + head + body


def entry(**changes):
    return {"0": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8], **changes}}


@pytest.mark.parametrize(
    ("tree", "entries", "fine"),
    [
        ({"a": {"$array": "0"}}, entry(), True), ({"a": {"$array": "1"}}, entry(), False),
        ({"a": {"$bytes": "0"}}, entry(), False), ({"a": {"$bytes": "0"}}, entry(dtype="U8", shape=[8]), True),
        ({"a": {"$array": "0", "x": 1}}, entry(), True), ({"a": 1}, entry(dtype="F16"), False),
        ({"a": 1}, entry(data_offsets=[0, 9]), False), ({"a": 1}, entry(data_offsets=[8, 0]), False),
        ({"a": 1}, entry(data_offsets=[8, 8], shape=[0]), True), ({"a": 1}, entry(shape=[2]), False),
        ({"a": 1}, entry(shape=[-1]), False), ({"a": 1}, entry(data_offsets=[0]), False), ([1], {}, False),
        ({}, {}, True),
    ],
)  # fmt: skip
def test_a_record_that_somebody_made_is_read_by_what_it_says(tree, entries, fine):
    content = forged(tree, entries, np.array([2.5]).tobytes() if entries else b"")
    if fine:
        found = read_packed(content, "it").data
        if tree.get("a") == {"$array": "0"}:
            assert found["a"].tolist() == [2.5]
    else:
        with pytest.raises(RecordError):
            read_packed(content, "it")


RECORD = Record(
    {
        "zero": 0, "five": 5, "minus": -1, "large": 2**63 - 1, "huge": 2**63, "yes": True, "half": 0.5,
        "word": "w", "none": None,
        "bytes": b"x", "wholes": [0, 3], "holes": [0, -1], "flags": [True], "words": ["a", "b"], "mixed": ["a", 1],
        "far": [2**63 - 1], "beyond": [2**63], "rows": [[1, 2], [3, 4]], "odd": [[1, 2], [3]], "low": [[1, -1]],
        "logic": [[True, 0]], "part": {"a": 1}, "parts": [{"a": 1}, {}], "bits": [[1.0, 2]], "pair": (1, 2),
        "array": np.zeros((2, 3)), "small": np.zeros(2, np.int16), "mask": np.zeros(2, bool), "top": 1e300,
        "over": 1.1e300,
    },
    "it",
)  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda r: r.whole("zero"), 0), (lambda r: r.whole("large"), 2**63 - 1),
        (lambda r: r.whole("five", low=5, high=5), 5),
        (lambda r: r.whole("minus", low=-1), -1), (lambda r: r.whole("huge", high=2**63), 2**63),
        (lambda r: r.wholes("wholes"), (0, 3)), (lambda r: r.wholes("far"), (2**63 - 1,)),
        (lambda r: r.matrix("rows", 2), [(1, 2), (3, 4)]), (lambda r: r.matrix("logic", 2), [(True, 0)]),
        (lambda r: r.number("five"), 5.0), (lambda r: r.number("top"), 1e300),
        (lambda r: r.number("half", low=0.5, high=0.5), 0.5),
        (lambda r: r.flag("yes"), True), (lambda r: r.text("word"), "w"), (lambda r: r.texts("words"), ("a", "b")),
        (lambda r: r.content("bytes"), b"x"), (lambda r: r.part("part").data, {"a": 1}),
        (lambda r: [one.data for one in r.parts("parts")], [{"a": 1}, {}]), (lambda r: "zero" in r, True),
        (lambda r: "none" in r, False), (lambda r: "nothing" in r, False),
        (lambda r: r.array("array", np.float64, 2, 3).shape, (2, 3)),
        (lambda r: r.array("array", np.float64, None, 3).shape, (2, 3)),
        (lambda r: r.array("small", np.int64, 2).dtype, np.int64),
        (lambda r: r.array("mask", np.bool_, None).dtype, np.bool_),
    ],
)  # fmt: skip
def test_a_value_that_is_what_it_must_be_is_returned(ask, answer):
    assert ask(RECORD) == answer


@pytest.mark.parametrize(
    ("ask", "wrong"),
    [
        (lambda r: r.whole("huge"), "huge is not a whole number from 0 to"), (lambda r: r.whole("minus"), "from 0 to"),
        (lambda r: r.whole("five", low=6), "from 6"), (lambda r: r.whole("five", high=4), "to 4"),
        (lambda r: r.whole("yes"), "yes is not a whole number"),
        (lambda r: r.whole("half"), "half is not a whole number"),
        (lambda r: r.whole("nothing"), "nothing is not"), (lambda r: r.wholes("holes"), "list of whole numbers"),
        (lambda r: r.wholes("flags"), "list of whole numbers"), (lambda r: r.wholes("beyond"), "list of whole numbers"),
        (lambda r: r.wholes("pair"), "list of whole numbers"), (lambda r: r.wholes("bits"), "list of whole numbers"),
        (lambda r: r.matrix("odd", 2), "lists of 2 whole"), (lambda r: r.matrix("rows", 3), "lists of 3 whole"),
        (lambda r: r.matrix("low", 2), "lists of 2"), (lambda r: r.matrix("bits", 2), "lists of 2"),
        (lambda r: r.matrix("wholes", 2), "lists of 2"), (lambda r: r.number("over"), "a number from"),
        (lambda r: r.number("half", low=0.6), "from 0.6"), (lambda r: r.number("half", high=0.4), "to 0.4"),
        (lambda r: r.number("yes"), "a number"), (lambda r: r.number("word"), "a number"),
        (lambda r: r.flag("zero"), "true or false"),
        (lambda r: r.text("bytes"), "text"), (lambda r: r.texts("mixed"), "a list of words"),
        (lambda r: r.texts("word"), "words"),
        (lambda r: r.content("word"), "bytes"), (lambda r: r.part("words"), "a mapping"),
        (lambda r: r.parts("part"), "a list"),
        (lambda r: r.parts("wholes"), r"it: wholes\[0\]: is not a mapping"),
        (lambda r: r.part("part").whole("b"), "it: part: b is"),
        (lambda r: r.array("array", np.float64, 2), r"an array \(2\) of float64"),
        (lambda r: r.array("array", np.float64, 2, 2), r"an array \(2, 2\)"),
        (lambda r: r.array("array", np.int64, 2, 3), "of int64"),
        (lambda r: r.array("array", np.float64, None, None, None), r"\(any, any, any\)"),
        (lambda r: r.array("wholes", np.int64, 2), "an array"),
        (lambda r: Record([1], "it"), "it: is not a mapping"),
    ],
)  # fmt: skip
def test_a_value_that_is_something_else_is_refused_by_name(ask, wrong):
    with pytest.raises(RecordError, match=wrong):
        ask(RECORD)

"""The one way in which results are printed, and a standard output that is closed, full or nobody's."""

import io
import math
import os
import sys

import pandas as pd
import pytest

from dse.cli.options import Format, Silence
from dse.cli.output import emit, outlive_reader
from dse.render.terminal.tables import Lines


def printed(capsys, output, rows=None, data=lambda: [{"a": 1, "b": "x, y"}, {"a": None, "b": 2.5}]):
    emit(output, lambda: [Lines(["a line"])], data, rows)
    return capsys.readouterr().out


def test_a_result_is_printed_as_it_was_asked_for(capsys, monkeypatch):
    assert printed(capsys, Format.table) == "a line\n\n"
    assert printed(capsys, Format.json, data=lambda: {"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}\n'
    assert printed(capsys, Format.csv) == 'a,b\n1,"x, y"\n,2.5\n'
    assert printed(capsys, Format.csv, lambda: (("c",), [(3,)])) == "c\n3\n"
    assert printed(capsys, Format.csv, data=list).strip() == ""
    with pytest.raises(AssertionError, match="what is no list of records must say what its sheet is"):
        printed(capsys, Format.csv, data=lambda: {"a": 1})
    silent = Silence()
    monkeypatch.setattr(sys, "stdout", silent)
    emit(Format.table, lambda: pytest.fail("made for nobody"), lambda: None)
    assert silent.getvalue() == ""


def test_a_frame_is_a_sheet_without_its_index(capsys):
    frame = pd.DataFrame({"a": [1, 2], 3: ["x", "y"], "b": [0.1, math.nan]}, index=[7, 8])
    assert printed(capsys, Format.csv, lambda: frame) == "a,3,b\n1,x,0.1\n2,y,\n"


def output_into(monkeypatch, target):
    """Let a file descriptor be the standard output of this process."""
    out = io.TextIOWrapper(io.FileIO(target, "wb", closefd=False), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "__stdout__", out)
    monkeypatch.setattr(sys, "stdout", out)
    return out


def test_output_goes_on_where_nobody_reads_and_says_what_it_could_not_write(monkeypatch):
    read, write = os.pipe()
    own = output_into(monkeypatch, write)
    own.write("before\n")
    finish = outlive_reader()
    print("line é")
    assert finish() is None and os.read(read, 99) == b"before\nline \\xe9\n"
    os.close(read)
    print("to nobody")
    assert finish() is None
    sys.stdout.close()
    os.fstat(write), "the descriptor is not this program's to close"
    os.close(write)
    full = os.open("/dev/full", os.O_WRONLY)
    output_into(monkeypatch, full)
    finish = outlive_reader()
    print("too much")
    refused = finish()
    assert refused is not None and refused.strerror == "No space left on device"
    os.close(full)


def test_a_terminal_and_an_output_that_somebody_has_taken_are_left_as_they_are(monkeypatch):
    taken = io.StringIO()
    monkeypatch.setattr(sys, "stdout", taken)
    assert outlive_reader()() is None and sys.stdout is taken
    monkeypatch.setattr(sys, "__stdout__", taken)
    monkeypatch.setattr(taken, "isatty", lambda: True, raising=False)
    assert outlive_reader()() is None and sys.stdout is taken
    monkeypatch.setattr(sys, "stdout", None)
    finish = outlive_reader()
    print("to a closed output")
    assert finish() is None and sys.stdout.name == os.devnull
    sys.stdout.close()

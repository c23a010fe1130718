"""What is printed, to the letter, and the progress of a run, to the second."""

import io
import math
from types import SimpleNamespace

import pytest

from dse.render import terminal
from dse.render.terminal import Page, console, print_heading, print_lines, print_parts, print_table, progress_display
from dse.render.terminal.tables import Lines, TextTable
from dse.results.outcome import Progress


def printed(show, *given, width=30, **options):
    out = io.StringIO()
    show(Page(out, width), *given, **options)
    return out.getvalue()


def test_tables_lines_and_texts_to_the_letter():
    shown = TextTable("title", ("", "a", "b"), [("one", "1", "22")])
    whole = "title\n      a    b\n" + "─" * 12 + "\none   1   22\n\n"
    assert printed(print_table, shown) == whole
    assert printed(print_table, TextTable("", shown.headings, shown.rows)) == whole.removeprefix("title\n")
    # Blocks stand apart by an empty line, records have no heading.
    steering = TextTable("", ("", "a"), [("\x1b", "1")])
    assert printed(print_table, steering).endswith("\n\\x1b   1\n\n")
    long = TextTable("", ("", "a", "b"), [("one", "1" * 12, "2" * 12)])
    assert printed(print_table, long, width=20) == (
        f"{' ' * 16}a\n{'─' * 17}\none  {'1' * 12}\n\n{' ' * 16}b\n{'─' * 17}\none  {'2' * 12}\n\n"
    )
    assert printed(print_table, long, width=14) == f"one\n  a  {'1' * 12}\n  b  {'2' * 12}\n\n"
    assert printed(print_table, TextTable("none here", ("a",), [])) == "none here\n  none\n\n"
    assert printed(print_heading, "a heading of many words", width=10) == "a heading\nof many\nwords\n"
    assert printed(print_lines, []) == printed(print_lines, [], heading="h") == ""
    assert printed(print_lines, ["one two three", "four"], width=11) == "one two\n  three\nfour\n\n"
    assert printed(print_lines, ["one two three four"], heading="h", width=17) == "h\n  one two three\n    four\n\n"
    assert printed(print_lines, ["one two three four"], heading="h", width=16) == "h\n  one two\n    three four\n\n"
    parts = [shown, Lines(["line"], "head"), Lines([], "nothing"), "te\x1bxt"]
    assert printed(print_parts, parts) == f"{whole}head\n  line\n\nte\\x1bxt\n"


def test_how_wide_the_output_is(monkeypatch):
    for columns, width in (("", 118), ("x", 118), ("19", 118), ("20", 20), ("300", 300)):
        monkeypatch.setenv("COLUMNS", columns)
        assert console().width == width
    monkeypatch.delenv("COLUMNS")
    assert console().width == 118


@pytest.mark.parametrize(
    ("terminal", "said", "heading"),
    [
        (True, {}, "\x1b[1;36mhead\x1b[0m"), (True, {"TERM": "dumb"}, "head"),
        (True, {"NO_COLOR": "1"}, "\x1b[1mhead\x1b[0m"), (False, {}, "head"),
        (False, {"FORCE_COLOR": "1"}, "\x1b[1;36mhead\x1b[0m"),
    ],
)  # fmt: skip
def test_headings_stand_out_where_a_terminal_shows_it_and_lines_stay_as_they_are(terminal, said, heading, monkeypatch):
    out = io.StringIO()
    out.isatty = lambda: terminal
    monkeypatch.setattr("sys.stdout", out)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": "40", "TERM": "xterm", **said}.items():
        monkeypatch.setenv(name, value)
    print_parts(console(), [Lines(["12 'a' [b] :smile:\tc"], "head")])
    assert out.getvalue() == f"{heading}\n  12 'a' [b] :smile:    c\n\n"
    console().print("a " * 30)
    assert out.getvalue().endswith(f"{'a ' * 30}\n"), "what is laid out is not folded again"


def test_a_line_of_progress_every_ten_seconds(monkeypatch, capsys):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock.now)
    with progress_display(quiet=False) as sink:
        for now, told in ((109.9, False), (110.0, True), (119.9, False), (120.5, True)):
            clock.now = now
            sink(Progress(5000, None, 50, 7, 0.51236, 0.5))
            line = "5 000 designs, 10 000 designs/s, 1 % feasible, front 7, hypervolume 0.5124\n"
            assert capsys.readouterr().err == (line if told else "")
    assert terminal._state(Progress(0, None, 0, 0, math.nan, 0.0)) == "0 designs/s, 0 % feasible, front 0"
    few = terminal._state(Progress(5, None, 1, 1, math.nan, 0.405))
    assert few == "12.3 designs/s, 20 % feasible, front 1"

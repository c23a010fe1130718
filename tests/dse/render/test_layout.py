"""Every table that a command prints, at every width: no number cut, no line too wide, nothing left out."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dse.render.terminal
from dse.number_texts import number_text
from dse.render.terminal import Page, print_parts
from dse.render.terminal.layout import _Column, _shared, folded, table_lines
from dse.render.terminal.tables import Lines, TextTable
from tests.dse.cli.test_commands import COMMANDS, SERVERS, WRITERS, call, folder

__all__ = ["call", "folder"]

WIDTHS = (60, 80, 100, 200)
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?: \d{3}(?!\d))*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\d)")
PRINTERS = [name for name in COMMANDS if name not in (*WRITERS, *SERVERS)]


def numbers(text):
    return NUMBER.findall(text)


def printed(parts, width):
    out = io.StringIO()
    print_parts(Page(out, width), parts)
    return out.getvalue()


def texts(part):
    """The texts of a part, cell by cell."""
    match part:
        case TextTable():
            return [part.title, *(cell for row in part.cells for cell in row)]
        case Lines():
            return [part.heading, *part.lines] if part.lines else []
    return [part]


@pytest.fixture
def parts(call, monkeypatch):
    """What a command prints, before it is laid out."""
    seen = []
    monkeypatch.setattr(dse.render.terminal, "print_parts", lambda out, given: seen.extend(given))

    def of(words):
        status, _, err = call(words)
        assert status in (0, 3), err
        return list(seen)

    return of


@pytest.mark.parametrize("command", PRINTERS)
def test_no_command_cuts_a_number_or_a_word_at_any_width(parts, command):
    shown = parts(COMMANDS[command])
    assert shown
    for width in WIDTHS:
        for part in shown:
            text = printed([part], width)
            # A number that is wrapped or cut is not found between borders of its own.
            result = {word for line in text.splitlines() for word in numbers(line)}
            for cell in texts(part):
                assert result.issuperset(numbers(cell)), (width, cell)
            squeezed = "".join(text.split())
            words = [word for cell in texts(part) for word in cell.split()]
            if isinstance(part, Lines):
                assert all(word in squeezed for word in words)
            else:
                assert {*"".join(words)} <= {*squeezed}
            assert all(len(line) <= width or " " not in line.strip() for line in text.splitlines()), width


@given(
    st.lists(st.lists(st.integers(-(10**9), 10**9), min_size=9, max_size=9), min_size=1, max_size=6),
    st.integers(60, 200),
)
def test_every_number_of_any_table_is_whole(values, width):
    rows = tuple((f"design {place}", "token/s", *map(number_text, row)) for place, row in enumerate(values))
    table = TextTable("", ("", "unit", *(f"measure {place}\nMB" for place in range(9))), rows, names=2)
    heads, bodies = table_lines(table, width)
    cells = [cell for body in bodies for line in body for cell in re.split(r"  +", line.strip())]
    for row in rows:
        assert all(cell in cells for cell in row)
    assert max(len(line) for block in (*heads, *bodies) for line in block) <= width
    # Names stand in every block, so that no row is without one.
    assert all(len([line for line in body if line.startswith("design")]) == len(rows) for body in bodies)


@given(st.lists(st.one_of(st.integers(0, 10**9), st.text("abc_.", min_size=1, max_size=30)), max_size=20))
def test_folding_loses_no_word_and_breaks_no_number(words):
    text = " ".join(number_text(word) if isinstance(word, int) else word for word in words)
    for width in (14, 40):
        lines = folded(text, width, words=True)
        assert "".join("".join(lines).split()) == "".join(text.split())
        assert [one for line in lines for one in numbers(line)] == numbers(text)


def test_where_names_take_all_the_room_rows_become_records():
    table = TextTable("", ("key", "of", "what it is"), (("9" * 30, "8" * 20, "c" * 20 + " 1 000"),), names=2)
    _, (lines,) = table_lines(table, 60)
    assert lines == ["9" * 30 + ", " + "8" * 20, "  what it is  " + "c" * 20 + " 1 000"]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=1, max_size=5), st.integers(10, 90))
def test_columns_fill_the_room_as_far_as_they_need_it(sizes, width):
    columns = [_Column(place, least + more, least, False) for place, (least, more) in enumerate(sizes)]
    widths, gaps = _shared(columns, width, 2), 2 * (len(columns) - 1)
    assert all(one.least <= given <= one.natural for one, given in zip(columns, widths, strict=True))
    room = max(width - gaps, sum(one.least for one in columns))
    assert sum(widths) == min(room, sum(one.natural for one in columns))

import doctest
import io
import math
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dse.render.terminal.tables
from dse.analysis.explain.simulated import SimulatedMetric
from dse.number_texts import (
    MISSING,
    number_text,
    percent_text,
)
from dse.render.terminal import (
    WIDTH,
    Page,
    _state,
    counted_display,
    print_lines,
    print_parts,
    print_table,
    progress_display,
)
from dse.render.terminal.explanation import limit_table
from dse.render.terminal.simulation import simulation_table
from dse.render.terminal.summary import picks_table
from dse.render.terminal.tables import TextTable, cell_text, ranges_text
from dse.results.outcome import Progress
from dse.sweep import parse_spec
from tests.sweeps import tiny


def test_the_examples_are_true():
    assert doctest.testmod(dse.render.terminal.tables).failed == 0


def test_what_is_missing_is_said_to_be():
    assert number_text(math.nan) == number_text(None) == percent_text(math.nan) == MISSING
    assert (cell_text(None), cell_text(True), cell_text("hbm3"), cell_text(16)) == ("", "yes", "hbm3", "16")


@given(st.sets(st.integers(0, 30)))
def test_ranges_name_every_chosen_level_and_no_other(chosen):
    levels = [float(10 * place) for place in range(31)]
    named = set()
    for part in filter(None, ranges_text(levels, levels, chosen).split(", ")):
        ends = [float(end) for end in part.split(" to ")]
        named |= {place for place, level in enumerate(levels) if ends[0] <= level <= ends[-1]}
    assert named == chosen


def printed(table, width=WIDTH):
    out = io.StringIO()
    print_table(Page(out, width), table)
    return out.getvalue()


def test_a_table_shows_every_cell_and_keeps_its_width():
    rows = tuple((f"chat_70b.metric_{place}", "token/s", *(number_text(place * 1000.5 + c) for c in range(7)))
                 for place in range(5))  # fmt: skip
    headings = ("", "unit", *(dse.render.terminal.tables.narrow(f"nearest to targets {c}") for c in range(7)))
    text = printed(TextTable("Wide", headings, rows, names=2))
    assert all(cell in text for row in rows for cell in row)
    assert max(map(len, text.splitlines())) <= WIDTH


def test_numbers_stand_to_the_right_and_names_to_the_left():
    text = printed(TextTable("", ("name", "number"), (("a", "1"), ("long name", "1 000"))))
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert lines[2].startswith("a ") and lines[3].startswith("long name ")
    assert lines[2].endswith(" 1") and lines[3].endswith(" 1 000") and len(lines[2]) == len(lines[3])


def test_markup_is_text():
    out = io.StringIO()
    print_lines(Page(out, 60), ["memory [bold] 3"], heading="[red]Heading")
    assert out.getvalue() == "[red]Heading\n  memory [bold] 3\n\n"


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys):
    now = Progress(evaluated=5000, planned=10_000, feasible=50, front=7, hypervolume=math.nan, seconds=0.5)
    with progress_display(quiet=False) as sink:
        sink(now)
        assert capsys.readouterr().err == "", "the first line comes after some seconds"
    with progress_display(quiet=False, every_s=0.0) as sink:
        sink(now)
    line = capsys.readouterr().err
    assert line == "5 000 of 10 000 designs, 10 000 designs/s, 1 % feasible, front 7\n"
    with progress_display(quiet=True) as sink:
        sink(now)
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and what stood on it last, without colours."""

    def isatty(self):
        return True

    @property
    def last(self):
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue()).replace("\r", "\n").splitlines()
        return [line.rstrip() for line in lines if line.strip()][-1]


@pytest.mark.parametrize("width", [31, 40, 80, 100, 120])
def test_on_a_narrow_terminal_the_state_gives_way_and_not_the_bar_or_the_time(monkeypatch, width):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    with progress_display(quiet=False) as sink:
        sink(Progress(evaluated=5000, planned=10_000, feasible=50, front=7, hypervolume=0.51236, seconds=0.5))
    state = "10 000 designs/s, 1 % feasible, front 7, hypervolume 0.5124"
    room = width - 16 - 4 - 7 - 3
    assert screen.last[:30] == f"{'━' * 8}╺{'━' * 7}  50% -:--:-- "
    assert screen.last[30:] == (state if len(state) <= room else f"{state[: room - 1].rstrip()}…")


def test_counts_are_a_bar_on_a_terminal_and_nothing_elsewhere(monkeypatch, capsys):
    with counted_display("formats") as show:
        show(3, 17)
    assert capsys.readouterr() == ("", "")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with counted_display("formats") as show:
        show(6, 24)
    assert screen.last == f"formats {'━' * 6}╺{'━' * 17}  6/24"


def test_a_state_before_anything_is_evaluated_has_no_rate():
    assert _state(Progress(0, None, 0, 0, math.nan, 0.0)) == "0 designs/s, 0 % feasible, front 0"


@pytest.mark.parametrize("columns", ["0", "3"])
def test_a_terminal_of_no_width_is_taken_to_have_told_none(monkeypatch, columns):
    from dse.render.terminal import WIDTH, console

    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == WIDTH


def test_differences_are_shares_of_what_was_simulated():
    rows = [SimulatedMetric("chat", name, closed, 2.0, 0.1) for name, closed in (("a", 2.0), ("b", 3.0), ("c", 1.0))]
    told = [row[-1] for row in simulation_table(rows).rows]
    assert told == [percent_text(0.0), percent_text(0.5), percent_text(-0.5)]


def test_the_names_of_limits_do_not_say_their_unit_once_more():
    names = ("heat_w_per_mm2", "reticle_mm2", "clock_ghz", "supply_v", "sram_mib", "package_balls")
    limits = {name: SimpleNamespace(used=1.0, allowed=2.0, margin=0.5) for name in names}
    rows = limit_table(SimpleNamespace(limits=limits)).cells
    assert [row[:2] for row in rows] == [
        ("heat", "W/mm²"), ("reticle", "mm²"), ("clock", "GHz"), ("supply", "V"), ("sram", "MiB"),
        ("package balls", ""),
    ]  # fmt: skip


def test_picks_show_no_parameter_that_none_of_them_has():
    second = {"second_memory": {"values": ["none", "lpddr5x_9600"]},
              "second_memory_devices": {"values": [1, 2], "when": {"second_memory": "lpddr5x_9600"}}}  # fmt: skip
    sweep = tiny()
    spec = parse_spec(sweep | {"space": sweep["space"] | second})
    pick = {"id": 3, "name": "knee", "metrics": {"tdp_w": 1.0}, "design": {"memory": "hbm3", "second_memory": "none"}}
    table = picks_table(SimpleNamespace(picks=[pick], spec=spec))
    names = [row[0] for row in table.cells]
    assert {"memory", "second_memory", "tdp_w"} <= {*names} and "second_memory_devices" not in names


def test_a_table_without_rows_says_so():
    out = Page(io.StringIO())
    print_parts(out, [TextTable("Front", ("design", "cost"), [])])
    assert out.file.getvalue().split() == ["Front", "none"]

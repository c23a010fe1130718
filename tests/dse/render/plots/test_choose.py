"""Ways to serve whose numbers are made up: what is drawn of them and which carry names."""

import math
from types import SimpleNamespace

import pytest

from dse.render.plots import choose, style
from tests.dse.render.plots.read import entries, hexed, same_mark, title, xy

NAN = math.nan
RANK, SPEED = "chat.tokens_per_s_per_usd", "chat.tpot_ms"


def way(name, speed, rank, *, meets=True, on_front=False, chips=2):
    return SimpleNamespace(name=name, chips=chips, values={SPEED: speed, RANK: rank}, meets=meets, on_front=on_front)


def limit(metric, most=None, least=None, relative_to=None):
    return SimpleNamespace(metric=metric, max=most, min=least, relative_to=relative_to, label=f"{metric} limit")


def found(ways, *limits, best=(), rank=RANK):
    spec = SimpleNamespace(workloads={"chat": SimpleNamespace(batch=8)}, constraints=limits)
    return SimpleNamespace(spec=spec, rank=rank, speed=SPEED, ways=ways, best=best)


@pytest.fixture
def asked(monkeypatch, shown):
    labels = []
    monkeypatch.setattr(choose, "place_labels", lambda *given, **named: labels.append((given[2], named)))
    return labels


def test_ways_within_the_limits_and_beside_them_and_the_front(asked, shown, tmp_path):
    ways = [
        way("c", 3.0, 1.0, on_front=True), way("a", 1.0, 3.0, on_front=True), way("b", 2.0, 1.5, meets=False),
        way("lost", NAN, 1.0), way("free", 1.0, 0.0), way("endless", math.inf, 1.0), way("none", 1.0, NAN),
    ]  # fmt: skip
    limits = [
        limit(SPEED, most=4.0, least=0.5),
        limit(RANK, least=0.7),
        limit(SPEED, most=9.0, relative_to="a100"),
        limit("die_mm2", 5.0),
    ]
    assert choose.draw_choice(found(ways, *limits, best=[ways[2], ways[3]]), tmp_path) == [tmp_path / "choose.png"]
    (axes,) = shown["choose"].axes
    misses, within = axes.collections
    assert xy(misses) == [[2, 1.5]] and xy(within) == [[3, 1], [1, 3]]
    assert (
        same_mark(within, "o")
        and hexed(within.get_facecolor()) == style.BLUE
        and hexed(misses.get_facecolor()) == style.GREY
    )
    front, most, least, up = axes.lines
    assert xy(front) == [[1, 3], [3, 1]] and front.get_drawstyle() == "steps-post"
    assert [most.get_xdata()[0], least.get_xdata()[0], up.get_ydata()[0]] == [4, 0.5, 0.7]
    assert entries(axes) == [
        "misses a limit (1)", "within the limits (2)", "front: nothing is better in both", *(f"{SPEED} limit",) * 2,
        f"{RANK} limit",
    ]  # fmt: skip
    assert title(axes) == "chat (batch 8): tokens_per_s_per_usd against tpot_ms"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log") and axes.get_xlabel() == "tpot_ms [ms]"
    ((labels, named),) = asked
    assert [(one.x, one.y, one.text) for one in labels] == [(3, 1, "2x c"), (1, 3, "2x a"), (2, 1.5, "2x b")]
    assert named["marks"].tolist() == [[3, 1], [1, 3], [2, 1.5]] and len(named["keep_clear"]) == 1
    assert choose.draw_choice(found(ways[3:]), tmp_path) == []
    choose.draw_choice(found([way("a", 1.0, 1.0, meets=False)]), tmp_path)
    assert entries(shown["choose"].axes[0]) == ["misses a limit (1)"] and not shown["choose"].axes[0].lines


def test_the_front_carries_names_first_and_one_place_one_name():
    ways = [way(f"w{k}", k + 1.0, 1.0, on_front=k % 2 == 0) for k in range(40)]
    one = found(ways, best=[way("same", 1.0, 1.0), ways[1], ways[3]])
    assert [each.name for each in choose._named(one, ways[:6])] == ["w0", "w2", "w4", "w1", "w3"]
    assert [each.name for each in choose._named(one, ways)] == [f"w{k}" for k in range(0, 32, 2)]


def test_what_is_of_all_chips_says_so():
    assert choose._label("chat.tpot_ms") == "tpot_ms [ms]"
    summed = next(name for name in sorted(choose.SUMMED) if choose.KNOWN[name].unit)
    assert choose._label(f"chat.{summed}") == f"{summed} of all chips [{choose.KNOWN[summed].unit}]"
    bare = next(name for name in sorted(choose.KNOWN) if not choose.KNOWN[name].unit and name not in choose.SUMMED)
    assert choose._label(bare) == bare

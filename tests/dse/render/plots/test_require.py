"""Made-up memories against the bandwidth that targets need."""

import math
from types import SimpleNamespace

import pytest

from dse.errors import RunError
from dse.render.plots import require, style
from tests.dse.render.plots.read import bar, entries, hexed, ticks, title


def need(weight_format, gbps, kv_bits=8.0):
    return SimpleNamespace(
        weight_format=weight_format,
        bandwidth_gbps=gbps,
        kv_bits=kv_bits,
        stored_bits=4.5,
        bandwidth_stack_gbps=2 * gbps,
    )


def option(memory, delivered, devices, edge_mm=10.0, allowed=20.0, slack=1.0):
    return SimpleNamespace(memory=memory, device_bits=32.0, delivered_gbps=delivered, devices=devices, edge_mm=edge_mm,
                           edge_allowed_mm=allowed, edge_slack=slack)  # fmt: skip


def found(chosen, *needs, options=(), targets=("t",)):
    return SimpleNamespace(name="s", targets=targets, needs=needs, chosen=chosen, options=options)


def test_needs_that_are_clearly_apart_are_shown_one_per_format():
    first = need("int4", 100.0)
    far = [need(f"f{k}", 100.0 * 1.25**k) for k in range(1, 5)]
    for needs, targets, shown in (
        ([first, *far], ("t",), [first, far[0], far[1]]),
        # Less than a fifth of an e-fold away, up or down; of a format that is there; of nothing.
        (
            [need("a", 100 * math.exp(0.19)), need("b", 100 * math.exp(-0.19)), need("int4", 900.0), need("c", 0.0)],
            ("t",),
            [first],
        ),
        ([one := need("a", 100 * math.exp(-0.21))], ("t",), [first, one]),
        ([*far], (), [first]),
    ):
        assert require._shown(found(first, *needs, targets=targets)) == shown
    # What is apart from one and near to another is left out.
    near = need("b", 1000 * math.exp(0.1))
    assert require._shown(found(first, other := need("a", 1000.0), near)) == [first, other]


def test_memories_reach_from_one_device_to_all_around_the_largest_die(shown, tmp_path):
    options = (
        option("gddr6", 400.0, 8),
        option("hbm3", 900.0, 2, edge_mm=30.0, slack=-1.0),
        option("lpddr", 300.0, 3, slack=0.0),
    )
    chosen = need("int4", 250.0)
    one = found(chosen, need("bf16", 900.0), options=options)
    assert require.plot_requirements(one, tmp_path) == [tmp_path / "require.png"]
    (axes,) = shown["require"].axes
    spans = [(left, bottom + height / 2, width) for left, bottom, width, height in map(bar, axes.patches)]
    assert spans == [pytest.approx(span) for span in [(50, 0, 750), (450, 1, 150), (100, 2, 500)]]
    assert all(0.5 < patch.get_height() < 1 for patch in axes.patches)
    fit, misfit, needed, other = axes.lines
    assert (fit.get_xydata().tolist(), misfit.get_xydata().tolist()) == ([[400, 0], [300, 2]], [[900, 1]])
    assert (hexed(fit.get_color()), hexed(misfit.get_color())) == (style.BLUE, style.ORANGE)
    assert [(line.get_xdata()[0], hexed(line.get_color())) for line in (needed, other)] == [
        (250, style.BLACK),
        (900, style.VERMILION),
    ]
    assert needed._dash_pattern[1] is None and other._dash_pattern[1] is not None
    assert "one device, to all around the largest die" in entries(axes)
    assert "needed with int4 (4.5 bit), 8-bit KV: 250 GB/s, 500 with the stack" in entries(axes)
    assert [(text.get_text(), text.xy, text.xyann) for text in axes.texts] == [
        ("8", (400, 0), (7, 0)), ("2", (900, 1), (7, 0)), ("3", (300, 2), (7, 0)),
    ]  # fmt: skip
    assert ticks(axes.yaxis) == {0: "gddr6, x32", 1: "hbm3, x32", 2: "lpddr, x32"} and axes.yaxis_inverted()
    assert axes.get_xscale() == "log" and title(axes).startswith("s: bandwidth that the targets need")
    # Where every memory fits, there is no second kind of dot.
    require.plot_requirements(found(chosen, options=options[:1]), tmp_path)
    assert len(shown["require"].axes[0].lines) == 2 and len(entries(shown["require"].axes[0])) == 3
    for nothing in (0.0, math.nan):
        with pytest.raises(RunError, match="nothing to draw"):
            require.plot_requirements(found(need("int4", nothing), options=options), tmp_path)

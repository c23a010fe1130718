import base64
import gzip
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cost_models.table import Table
from dse.analysis.explain.designs import explain_designs
from dse.analysis.explain.records import BOUNDS, OUTSIDE
from dse.errors import RunError
from dse.evaluator import Evaluator
from dse.render.report import write_report
from dse.render.report.breakdowns import breakdowns
from dse.render.report.designs import missed, page_columns, shown_designs, states
from dse.render.report.markup import shaded_table, words
from dse.render.report.markup import table as table_markup
from dse.render.report.packing import packed, packed_columns, rounded
from dse.render.report.page import fill_template, script_json
from dse.render.terminal.tables import TextTable
from dse.results.rows import MARGIN_PREFIX
from dse.results.store import designs_of
from dse.runs import run
from dse.sweep import parse_spec
from tests.cli import call
from tests.sweeps import DRAWN, minimized

EXPERTS = {"model": "mixtral_8x7b", "batch": 4, "n_chips": 2, "parallelism": "pipeline", "required": False}
SWEEP = {
    **DRAWN,
    "workloads": {**DRAWN["workloads"], "experts": EXPERTS},
    "space": {**DRAWN["space"], "link_gbps": 64},
    "objectives": minimized("chat.tpot_ms", "cost_usd"),
    "constraints": [{"metric": "tdp_w", "max": 400}, {"metric": "chat.tpot_ms", "max": 12}],
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return run(parse_spec(SWEEP), out=tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def html(stored):
    return write_report(stored.path).read_text(encoding="utf-8")


def embedded(html, name):
    return re.search(rf'id="{name}">(.*?)</script>', html, re.DOTALL)[1]


def dequantized(text):
    return gzip.decompress(base64.b64decode(text))


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(-1e30, 1e30)), st.integers(4, 23))
def test_rounding_keeps_its_word_on_the_error(values, bits):
    values = np.where(np.abs(values) < 1e-30, 0.0, values)
    kept = rounded(values, bits).astype(np.float64)
    # Half of the last bit kept, and half of single precision's own.
    assert (np.abs(kept - values) <= np.abs(values) * (2.0 ** -(bits + 1) + 2.0**-24)).all()


def test_rounding_keeps_what_is_not_finite():
    kept = rounded(np.array([np.nan, np.inf, -np.inf, 0.0]), 5)
    assert np.isnan(kept[0]) and kept[1:].tolist() == [np.inf, -np.inf, 0.0]


def test_columns_unpack_to_what_was_packed():
    numbers, codes = np.array([1.5, np.nan, -2.0], dtype=np.float32), np.array([3, 255, 0], dtype=np.uint8)
    content = dequantized(packed_columns([numbers, codes]))
    planes = np.frombuffer(content[:12], dtype=np.uint8).reshape(4, 3)
    np.testing.assert_array_equal(planes.T.copy().view("<f4")[:, 0], numbers)
    assert list(content[12:]) == [3, 255, 0]


def test_packing_has_no_clock_in_it():
    assert packed(b"the same") == packed(b"the same")


def test_breakdowns_say_what_explanations_say(stored):
    spec = stored.spec
    table = stored.designs
    result = breakdowns(Evaluator(spec), designs_of(spec, table))
    for place in (0, 7, len(table) - 1):
        row = table.iloc[place]
        settings = {name: row[name] for name in spec.space if name in row and row[name] == row[name]}
        settings |= {name: entries[0].value for name, entries in spec.space.items() if name not in row}
        twin = explain_designs(Evaluator(spec), Table.from_settings(settings))

        def said(*path, place=place):
            return float(result[path][place])

        for total, parts in twin.blocks.items():
            for block, amount in parts.items():
                assert said("blocks", total, block) == pytest.approx(amount)
        for label, margin in twin.margins.items():
            assert said("margins", label) == pytest.approx(margin, abs=1e-12)
        for workload, one in twin.workloads.items():
            assert said("workloads", workload, "fits") == one.fits
            assert said("workloads", workload, "roofs", "linear_tflops") == pytest.approx(one.roofs["linear_tflops"])
            for phase, work in (("decode", one.decode), ("prefill", one.prefill)):
                path = ("workloads", workload, phase)
                assert said(*path, "total_ms") == pytest.approx(work.ms)
                assert said(*path, "bound_ms") == pytest.approx(work.bound_ms)
                assert said(*path, "board_w") == pytest.approx(work.board_w)
                for operator in work.operators:
                    assert said(*path, "ms", operator.name) == pytest.approx(operator.ms)
                    if operator.name != OUTSIDE:
                        assert BOUNDS[int(said(*path, "bound", operator.name))] == operator.bound
                        assert said(*path, "bytes", operator.name) == pytest.approx(operator.bytes_moved)
                        assert said(*path, "macs", operator.name) == pytest.approx(operator.macs)
                for part, watts in work.power_w.items():
                    assert said(*path, "power_w", part) == pytest.approx(watts, rel=1e-6, abs=1e-9)


def test_the_page_holds_the_columns_of_the_run(stored, html):
    data = json.loads(embedded(html, "data"))
    table = shown_designs(stored)
    content = dequantized(embedded(html, "packed-designs"))
    count = data["counts"]["shown"]
    assert count == len(table) == data["counts"]["kept"]
    ids = np.frombuffer(content[: 4 * count], dtype=np.uint8).reshape(4, count).T.copy().view("<u4")[:, 0]
    np.testing.assert_array_equal(ids, table["id"])
    columns = page_columns(stored.spec, table)
    assert [column["name"] for column in data["columns"]] == [column.name for column in columns]
    sizes = [1 if column.names else 4 for column in columns]
    assert len(content) == count * (4 + 1 + 4 + sum(sizes))


def test_states_and_misses_are_those_of_the_table(stored):
    table = shown_designs(stored)
    labels, bits = missed(table)
    for place, label in enumerate(labels):
        np.testing.assert_array_equal((bits >> place) & 1, table[MARGIN_PREFIX + label] < 0)
    assert (states(table) == 2).sum() == len(stored.front)
    assert ((states(table) > 0) == table["feasible"]).all()


@pytest.mark.parametrize("at_most", [5, 20, 30, 47])
def test_a_smaller_page_keeps_what_matters(stored, at_most):
    shown = shown_designs(stored, at_most, least_infeasible=2)
    assert {int(pick["id"]) for pick in stored.picks} <= set(shown["id"])
    assert shown["id"].is_monotonic_increasing and shown["id"].is_unique
    front, picks = stored.front["id"], {int(pick["id"]) for pick in stored.picks}
    if at_most >= len(front) + len(picks) + 2:
        assert set(front) <= set(shown["id"])
    assert len(shown) <= max(at_most, len(picks) + 2)


def test_the_same_run_gives_the_same_bytes(stored, html, tmp_path):
    assert write_report(stored.path, out=tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_the_page_asks_for_nothing(html):
    assert "connect-src 'none'" in html and "default-src 'none'" in html
    outside = html.replace(embedded(html, "packed-plotly"), "")
    assert not re.search(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=[\"']?(?:https?:|//)", outside)


def test_what_people_write_cannot_become_markup():
    hostile = "</script><img src=x>"
    assert "<" not in script_json({"text": hostile})
    shown = table_markup(TextTable(hostile, (hostile, "b"), ((hostile, "1"),)))
    assert "<img" not in shown and "&lt;img" in shown
    assert fill_template("{{a}}{{b}}", {"a": "{{b}}", "b": "x"}) == "{{b}}x"


def test_no_line_ends_within_a_number():
    shown = words("23 of 1 440 designs, 63.5 %, batch 16, 512 tokens")
    assert shown == "23 of 1\u00a0440 designs, 63.5\u00a0%, batch 16, 512 tokens"


def test_a_run_without_feasible_designs_has_a_report(tmp_path):
    spec = parse_spec({**SWEEP, "constraints": [{"metric": "chat.tpot_ms", "max": 0.001}]})
    text = write_report(run(spec, out=tmp_path / "none").path).read_text(encoding="utf-8")
    assert "NO: none of" in text and "Least infeasible designs" in text
    assert json.loads(embedded(text, "data"))["details"]["rows"]


def test_issues_are_said(stored, tmp_path):
    with pytest.raises(RunError, match="no such run"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match="cannot be written"):
        write_report(stored.path, out=tmp_path)


def test_the_curves_of_the_page_are_those_that_explain_prints(stored, html):
    lines = json.loads(embedded(html, "data"))["curves"]["lines"]
    (knee,) = [one for one in lines if "knee" in one["name"] and one["workload"] == "chat"]
    assert [one["baseline"] for one in lines if one["name"] == "a100"] == [True]
    printed = call("explain", str(stored.path), "knee", "--curve", "--format", "json")
    (curve,) = [one for one in json.loads(printed.out) if not one["baseline"] and one["workload"] == "chat"]
    assert knee["users"] == [point["user_tokens_per_s"] for point in curve["points"]]
    assert knee["rates"]["tokens_per_s_per_kw"] == [point["rates"]["tokens_per_s_per_kw"] for point in curve["points"]]
    assert len(knee["users"]) > 5 and 'id="curve-chart"' in html


def test_shares_are_as_dark_as_they_are_large():
    shown = TextTable("t", ("part", "share"), (("a", "0.25"), ("b", "1.5"), ("c", "0")))
    page = shaded_table(shown)
    for share, text in ((0.25, "0.25"), (1.0, "1.5"), (0.0, "0")):
        assert f'style="--share:{share:.2f}" data-label="share">{text}</td>' in page
    assert page.count("--share") == 3

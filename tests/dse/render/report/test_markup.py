"""HTML and packed arrays of a report, to the letter and to the bit."""

import base64
import gzip

import numpy as np
import pytest

from dse.render.report import markup
from dse.render.report.packing import packed, packed_columns, planes, rounded
from dse.render.report.page import fill_template, script_json
from dse.render.terminal.tables import TextTable


def test_texts_are_escaped_and_numbers_stay_whole():
    nbsp = "\u00a0"
    for made, html in (
        (markup.words("1 440 of 12 34 < 5 %"), f"1{nbsp}440 of 12 34 &lt; 5{nbsp}%"),
        (markup.heading("a & b"), "<h2>a &amp; b</h2>"), (markup.heading("a", 3), "<h3>a</h3>"),
        (markup.paragraph("1 %"), f"<p>1{nbsp}%</p>"), (markup.paragraph("a", "hint"), '<p class="hint">a</p>'),
        (markup.bullets([]), ""), (markup.bullets(["a", "<"]), "<ul><li>a</li><li>&lt;</li></ul>"),
        (markup.definitions({"a&": "1 000"}), f"<dl><dt>a&amp;</dt><dd>1{nbsp}000</dd></dl>"),
        (markup.section("id", "title", ""), ""),
        (markup.section("id", "<t>", "x"), '<details class="section" id="id"><summary>&lt;t&gt;</summary>x</details>'),
        (markup.folded("<t>", "x"), "<details><summary>&lt;t&gt;</summary>x</details>"),
        (markup.preformatted("a\n<"), '<pre tabindex="0">a\n&lt;</pre>'),
    ):  # fmt: skip
        assert made == html


def test_a_table_to_the_letter():
    shown = TextTable("t & u", ("", "tpot_\nms", "long-\nish name"), [("a\nb", "1 000", "x"), ("c", "-", "y")])
    start = '<div class="scroll" role="region" tabindex="0" aria-label="{}"><table class="stacked">'
    inner = (
        '<thead><tr><th scope="col"></th><th scope="col" class="number">tpot_<br>ms</th>'
        '<th scope="col">long-<br>ish name</th></tr></thead><tbody>'
        '<tr><th scope="row">a<br>b</th><td class="number" data-label="tpot_ ms">1\u00a0000</td>'
        '<td data-label="longish name">x</td></tr>'
        '<tr><th scope="row">c</th><td class="number" data-label="tpot_ ms">-</td>'
        '<td data-label="longish name">y</td></tr>'
        "</tbody></table></div>"
    )
    whole = start.format("t &amp; u")
    assert markup.table(shown) == f"{whole}<caption>t &amp; u</caption>{inner}"
    assert markup.table(shown, with_title=False) == whole + inner
    assert markup.table(TextTable("", shown.headings, shown.rows)) == start.format("table") + inner


def test_cells_of_shares_are_as_dark_as_they_are_large():
    html = markup.shaded_table(TextTable("", ("p", "s"), [("0.5", "0.25"), ("b", "1.00"), ("c", "1.5"), ("d", "0")]))
    for share, text in (("0.25", "0.25"), ("1.00", "1.00"), ("1.00", "1.5"), ("0.00", "0")):
        assert f'<td class="number share" style="--share:{share}" data-label="s">{text}</td>' in html
    assert html.count("--share") == 4


def test_numbers_keep_so_many_bits():
    # Of 1 bit behind the leading one 1, 1.5, 2, 3 and 4 are left, halves go up; signs do as sizes.
    values = [1.0, 1.24, 1.25, 1.5, 1.74, 1.75, 2.49, 2.5, 3.0, 3.5, -1.25, 0.0]
    assert rounded(np.array(values), 1).tolist() == [1, 1, 1.5, 1.5, 1.5, 2, 2, 3, 3, 4, -1.5, 0]
    last = 2.0**-23
    assert rounded(np.array([1 + last]), 23).tolist() == [1 + last]
    assert rounded(np.array([1 + last, 1 + 2 * last]), 22).tolist() == [1 + 2 * last, 1 + 2 * last]
    assert rounded(np.array([1 + last, 1 + 2 * last, 1 + 3 * last]), 21).tolist() == [1, 1 + 4 * last, 1 + 4 * last]
    kept = rounded(np.array([np.nan, np.inf, -np.inf, 1e300]), 5)
    assert np.isnan(kept[0]) and kept[1:].tolist() == [np.inf, -np.inf, np.inf]
    for bits in (0, 24):
        with pytest.raises(ValueError, match=f"bits must lie in 1 to 23, got {bits}"):
            rounded(np.ones(1), bits)


def test_like_bytes_lie_together():
    assert planes(np.array([0x01020304, 0x05060708], dtype=np.uint32)) == bytes([4, 8, 3, 7, 2, 6, 1, 5])
    assert planes(np.array([0x01020304], dtype=">u4")) == bytes([4, 3, 2, 1])
    assert planes(np.array([1, 2, 255], dtype=np.uint8)) == bytes([1, 2, 255])
    text = packed_columns([np.array([1, 2], dtype=np.uint8), np.array([0x0102], dtype=np.uint32)])
    assert gzip.decompress(base64.b64decode(text)) == bytes([1, 2, 2, 1, 0, 0])
    # The time of the clock in the head of a gzip file is none.
    assert base64.b64decode(packed(b"x"))[4:8] == bytes(4)


def test_templates_and_scripts():
    assert fill_template("{{a}}{{b_c}}{{ a }}", {"a": "{{b_c}}", "b_c": "x"}) == "{{b_c}}x{{ a }}"
    assert script_json({"a": [1.5, float("nan")], "b": "</script>"}) == '{"a":[1.5,null],"b":"\\u003c/script>"}'

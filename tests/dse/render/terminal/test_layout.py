"""Folding, columns, blocks and records, each at the width where it just fits and one below, worked out by hand."""

import pytest

from dse.render.terminal.layout import _Column, _columns, _shared, folded, table_lines
from dse.render.terminal.tables import TextTable


def test_lines_are_folded_at_spaces_and_within_words_only_where_asked():
    for text, width, words, lines in (
        # A line that fits is left as it is; one that is folded has single spaces.
        ("a  b", 4, False, ["a  b"]),
        ("a  b", 3, False, ["a b"]),
        ("  ab cd", 5, False, ["ab cd"]),
        ("ab cd ef", 5, False, ["ab cd", "ef"]),
        ("abc de", 5, False, ["abc", "de"]),
        ("one\ntwo three", 5, False, ["one", "two", "three"]),
        ("", 5, False, [""]),
        ("abcdefgh", 5, False, ["abcdefgh"]),
        ("abcdefghijkl", 5, True, ["abcde", "fghij", "kl"]),
        # A word as wide as the line stays whole, on a line of its own.
        ("x ab_cdefg", 8, True, ["x", "ab_cdefg"]),
        ("x ab_cdefgh", 8, True, ["x ab_", "cdefgh"]),
        ("ab=cd/ef,gh;ij:kl-mn", 3, True, ["ab=", "cd/", "ef,", "gh;", "ij:", "kl-", "mn"]),
        ("chat.tpot_ms", 7, True, ["chat.", "tpot_ms"]),
        # Numbers are never broken, nor cut from their sign, bound or per cent.
        ("abcdefgh_12345678", 5, True, ["abcde", "fgh_", "12345678"]),
        ("x=-1234567", 4, True, ["x=", "-1234567"]),
        ("12 345 678", 4, True, ["12 345 678"]),
        ("12 34 5678", 4, True, ["12", "34", "5678"]),
        ("by 63.5 % of", 6, True, ["by", "63.5 %", "of"]),
        ("tdp <= 150 W", 6, False, ["tdp", "<= 150", "W"]),
        ("is < 0.1 so", 5, False, ["is", "< 0.1", "so"]),
    ):
        assert folded(text, width, words=words) == lines, (text, width)
    assert folded("abcdefgh", 5) == ["abcdefgh"]


def test_what_a_column_wants_and_the_least_that_it_can_do_with():
    letters = "abcdefghijklmnopqrstuvwxyz"
    table = TextTable(
        "",
        ("name", "a long heading", letters, letters, letters, "head"),
        [("one two", "1 000", "99", "9" * 14, "word", letters + letters[:24]),
         ("a\nbcdefgh", "n/a", "1", "1", "of more words than fit", "-")],
    )  # fmt: skip
    wide, narrow = _columns(table, 120), _columns(table, 60)
    assert [one.place for one in wide] == [0, 1, 2, 3, 4, 5]
    assert [one.natural for one in wide] == [7, 14, 26, 26, 26, 50]
    assert [one.right for one in wide] == [False, True, True, True, False, False]
    # A heading of one word is broken at half of what is comfortable, or at its cells; texts below that stay whole;
    # the longest word may take a third of the room, or what is comfortable.
    assert [one.least for one in wide] == [7, 7, 12, 14, 22, 40]
    assert [one.least for one in narrow] == [7, 7, 12, 14, 22, 24]
    assert [one.least for one in _columns(table, 120, 14)] == [7, 7, 7, 14, 22, 14]


def laid(columns, rows, width, names=1):
    heads, bodies = table_lines(TextTable("", columns, rows, names=names), width)
    return ["\n".join(part) for part in heads], ["\n".join(part) for part in bodies]


def test_columns_stand_apart_as_far_as_there_is_room():
    columns, rows = ("name", "ten\nletters"), [("0123456789", "1 234"), ("b", "9.5")]
    assert laid(columns, rows, 20) == (
        ["                 ten\nname         letters\n" + "─" * 20],
        ["0123456789     1 234\nb                9.5"],
    )
    # One space less where the room is one short.
    assert laid(columns, rows, 19) == (
        ["                ten\nname        letters\n" + "─" * 19],
        ["0123456789    1 234\nb               9.5"],
    )


def test_texts_fold_before_blocks_are_made():
    columns = ("name", "what it says")
    rows = [("0123456789", "thirty letters of several words"), ("b", "short")]
    (head,), (body,) = laid(columns, rows, 36)
    assert head == "name        what it says\n" + "─" * 36
    assert body == "0123456789  thirty letters of\n            several words\nb           short"
    # 24 letters are comfortable: with one column less, names and texts stand in records or tighter.
    (head,), (body,) = laid(columns, rows, 35)
    assert head == "name        what it says\n" + "─" * 35
    assert body == "0123456789  thirty letters of\n            several words\nb           short"
    (head,), (body,) = laid(columns, rows, 26)
    assert head == "name        what it says\n" + "─" * 26
    assert body == "0123456789  thirty letters\n            of several\n            words\nb           short"
    assert laid(columns, rows, 25) == (
        [],
        [
            "\n".join(
                [
                    "0123456789",
                    "  what it   thirty",
                    "  says      letters of",
                    "            several words",
                    "b",
                    "  what it   short",
                    "  says",
                ]
            )
        ],
    )


def test_columns_that_do_not_fit_stand_in_blocks_below():
    columns, rows = ("", "ms", "GB/s", "W"), [("one", "12 345", "6 789", "150"), ("two", "1", "2", "3")]
    # Names of 3, columns of 6, 5 and 3, two spaces between: 3 + 8 + 7 + 5.
    assert laid(columns, rows, 23)[0] == ["         ms   GB/s    W\n" + "─" * 23]
    heads, bodies = laid(columns, rows, 22)
    assert heads == ["         ms   GB/s\n" + "─" * 18, "       W\n" + "─" * 8]
    assert bodies == ["one  12 345  6 789\ntwo       1      2", "one  150\ntwo    3"]
    assert laid(columns, rows, 18)[1] == bodies
    heads, bodies = laid(columns, rows, 17)
    assert bodies == ["one  12 345\ntwo       1", "one  6 789  150\ntwo      2    3"]
    # The widest column fits beside the names just so; then rows become records.
    assert laid(columns, rows, 11)[1] == ["one  12 345\ntwo       1", "one  6 789\ntwo      2", "one  150\ntwo    3"]
    assert laid(columns, rows, 10) == (
        [],
        ["one\n  ms   12 345\n  GB/  6 789\n  s\n  W    150\ntwo\n  ms   1\n  GB/  2\n  s\n  W    3"],
    )


def test_a_text_folds_before_a_column_goes_below():
    columns, rows = ("name", "what it says", "ms"), [("0123456789", "thirty letters of several words", "1 234")]
    (head,), (body,) = laid(columns, rows, 43)
    assert head == "name        what it says                 ms\n" + "─" * 43
    assert body == "0123456789  thirty letters of         1 234\n            several words"
    assert laid(columns, rows, 42)[1] == [
        "0123456789  thirty letters of several\n            words", "0123456789  1 234",
    ]  # fmt: skip


def test_names_take_two_thirds_of_the_room_at_most():
    # Names and the space behind them take 20, then 21, of 30.
    for letters, blocks in ((18, 2), (19, 0)):
        rows = [("9" * letters, "1234567", "7654321")]
        heads, bodies = laid(("", "a", "b"), rows, 30)
        assert len(heads) == blocks
        name = rows[0][0]
        assert bodies == (
            [f"{name}  1234567", f"{name}  7654321"] if blocks else [f"{name}\n  a  1234567\n  b  7654321"]
        )


def test_records_say_what_there_is_to_say():
    rows = [("9" * 30, "", "7 654 321", "", "words without end"), ("", "1", "", "", "")]
    heads, bodies = laid(("", "of", "a wide\nheading of many", "b", "c"), rows, 34, names=2)
    assert heads == []
    # Labels take a third of the room; what stands beside them the rest, but four for the spaces.
    assert bodies == ["\n".join([
        "9" * 30,
        "  a wide       7 654 321",
        "  heading of",
        "  many",
        "  c            words without end",
        "1",
    ])]  # fmt: skip


def test_a_word_too_wide_for_a_record_is_broken():
    letters = "abcdefghijklmnopqrstuvwxyz"
    _, bodies = laid(("", "b"), [("9" * 30, letters * 2)], 34)
    assert bodies == [f"{'9' * 30}\n  b  {letters}abc\n     {letters[3:]}"]


@pytest.mark.parametrize(
    ("columns", "width", "widths"),
    [
        # Who lacks most is first: 6 of 1 before 8 of 2.
        (((6, 1), (8, 2)), 6, [2, 2]),
        (((6, 1), (8, 2)), 8, [3, 3]),
        (((6, 1), (8, 2)), 5, [1, 2]),
        # Of two that lack alike the first is first.
        (((9, 3), (9, 3)), 9, [4, 3]),
        (((9, 3), (9, 3)), 40, [9, 9]),
        (((1, 0),), 5, [1]),
        (((3, 3), (9, 1)), 10, [3, 5]),
    ],
)
def test_room_goes_to_the_column_that_lacks_most(columns, width, widths):
    made = [_Column(place, natural, least, False) for place, (natural, least) in enumerate(columns)]
    assert _shared(made, width, 2) == widths

"""Cells of rows, compared one by one."""

import math


def same(found, expected):
    """Whether two cells are one, NaN beside NaN too."""
    return found == expected or (isinstance(expected, float) and math.isnan(expected) and math.isnan(found))


def assert_cells(row, cells):
    wrong = {name: row[name] for name, cell in cells.items() if not same(row[name], cell)}
    assert not wrong, f"{wrong} in place of {cells}"

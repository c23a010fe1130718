"""Numbers as people read them, and as files hold them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

MISSING = "n/a"
"""What stands for a number that does not exist."""


MOST_DIGITS = 18
"""Digits of the largest number that counts something."""


def whole_number(text: str) -> int | None:
    """Return the whole number that a text is the digits of; None where it is something else, or counts nothing.

    >>> whole_number("42"), whole_number("4.2"), whole_number("9" * 5000)
    (42, None, None)
    """
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def number_text(value: float | None, digits: int = 4) -> str:
    """Return a number as a person writes it: four significant digits, thousands apart, no exponent where avoidable.

    Nothing has no sign: minus zero is ``0``.

    >>> number_text(1234567.0), number_text(0.0123456), number_text(float("nan"))
    ('1 234 567', '0.01235', 'n/a')
    """
    if value is None or math.isnan(value):
        return MISSING
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", " ") if abs(value) < 1e12 else f"{value:.{digits}g}"
    return f"{value:z.{digits}g}"


def percent_text(share: float | None) -> str:
    """Return a share in per cent, without the sign; what is not quite nothing or everything is not rounded to it.

    >>> percent_text(0.5), percent_text(0.99999), percent_text(1e-7), percent_text(-4e-4), percent_text(11.224)
    ('50', '> 99.9', '< 0.1', '> -0.1', '1 122')
    """
    if share is None or math.isnan(share):
        return MISSING
    if 0 < abs(share) < 0.0005:
        return "< 0.1" if share > 0 else "> -0.1"
    if 0.9995 <= share < 1:
        return "> 99.9"
    if abs(share) >= 10:
        return number_text(100 * share)
    return f"{100 * share:z.1f}".removesuffix(".0")


def signed_percent_text(share: float | None) -> str:
    """Return a share in per cent with plus or minus before it, and without the sign of per cent.

    >>> signed_percent_text(0.25), signed_percent_text(-37.827), signed_percent_text(-1e-9), signed_percent_text(None)
    ('+25.0', '-3 783', '+0.0', 'n/a')
    """
    if share is None or math.isnan(share):
        return MISSING
    if abs(share) >= 10:
        return f"{'+' if share > 0 else ''}{number_text(100 * share)}"
    return f"{100 * share:+z.1f}"


def counted(count: float, what: str) -> str:
    """Return a count with what is counted, in the plural unless it is one.

    >>> counted(1, "design"), counted(2000, "design")
    ('1 design', '2 000 designs')
    """
    return f"{number_text(count)} {what}{'' if count == 1 else 's'}"


def share_text(share: float | None) -> str:
    """Return a share in per cent with its sign, as it stands in a sentence.

    >>> share_text(0.758), share_text(None)
    ('75.8 %', 'n/a')
    """
    text = percent_text(share)
    return text if text == MISSING else f"{text} %"


def ratio_text(ratio: float | None) -> str:
    """Return a ratio with three digits and a cross.

    >>> ratio_text(4.266), ratio_text(None)
    ('4.27x', 'n/a')
    """
    return MISSING if ratio is None or math.isnan(ratio) else f"{number_text(ratio, 3)}x"


def column_texts(
    numbers: FloatArray, missing: str = MISSING, text: Callable[[float], str] = repr
) -> NDArray[np.object_]:
    """Return what `text` makes of each number of a column, asked once for those of equal bits; `missing` for NaN."""
    import numpy as np

    kinds, kind = np.unique(np.ascontiguousarray(numbers).view(np.int64), return_inverse=True)
    known = kinds.view(np.float64)
    texts = np.array(list(map(text, known.tolist())), dtype=object)
    texts[np.isnan(known)] = missing
    return texts[kind]


def exact_texts(numbers: FloatArray, missing: str = MISSING) -> NDArray[np.object_]:
    """Return the shortest decimals that are read back as each number of a column, as `repr` has them.

    Args:
        numbers: the column.
        missing: what stands for NaN.
    """
    import numpy as np
    import pyarrow as pa

    # Arrow writes the same digits in a fifth of the time; where it takes exponents, and whole numbers, are its own.
    size = np.abs(numbers)
    alike = (size >= 1e-3) & (size < 1e9)
    alike[alike] = size[alike] % 1 != 0
    texts: NDArray[np.object_] = pa.array(numbers).cast(pa.string()).to_numpy(zero_copy_only=False)
    if not alike.all():
        texts[~alike] = column_texts(numbers[~alike], missing)
    return texts

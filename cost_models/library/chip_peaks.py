"""The rate at which a library chip multiplies operands of a kind and width, by its published peaks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cost_models.library import Chip
from cost_models.units import TERA

WIDTHS = (4, 8, 16, 32)
"""Operand widths of published peaks, bits."""

FORMATS = {
    ("float", 4): ("fp4",),
    ("int", 4): ("int4",),
    ("float", 8): ("fp8",),
    ("int", 8): ("int8",),
    ("float", 16): ("bf16", "fp16"),
    ("int", 16): ("bf16", "fp16"),
    ("float", 32): ("fp32",),
    ("int", 32): ("fp32",),
}
"""Peaks that serve an operand kind and width, the first that a chip has."""

OPERAND_WIDTHS = {name: float(width) for (_, width), names in FORMATS.items() for name in names}
"""Operand width of each published format, bits."""


def _at_width(peaks: Mapping[str, float], kind: str, width: int) -> str | None:
    return next((name for name in FORMATS[kind, width] if name in peaks), None)


def peak_ops_per_s(chip: Chip, *, kind: str, bits: float) -> tuple[str, float]:
    """Return (format, operations per second) at which a chip multiplies operands of a kind and width.

    The format of that width if the chip has a peak for it, else the next wider one it has: an A100 multiplies fp8
    weights in bf16. Where nothing as wide is published, the widest peak below, halved for each doubling of the width
    as tensor cores do it; NaN for a chip without any peak. Of bf16 and fp16 the former, whose peaks accumulate in fp32.

    Args:
        chip: library chip.
        kind: "int" or "float".
        bits: wider operand of the two; a fraction of a bit is its share of the scales of its block (NVFP4 4.5,
            MXFP4 4.25), which are not multiplied with it.
    """
    peaks: Mapping[str, float] = dict(chip.peak_tops.items())
    needed = next((width for width in WIDTHS if width >= math.floor(bits)), WIDTHS[-1])
    for width in WIDTHS:
        if width >= needed and (name := _at_width(peaks, kind, width)):
            return name, peaks[name] * TERA
    for width in reversed(WIDTHS):
        for other in (kind, "float", "int"):
            if width < needed and (name := _at_width(peaks, other, width)):
                return FORMATS[kind, needed][0], peaks[name] * TERA * width / needed
    return FORMATS[kind, needed][0], float("nan")

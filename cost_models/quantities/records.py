"""What is said of every parameter and metric: unit, meaning, bounds, better direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

LEAST_SIZE, MOST_SIZE = 1e-15, 1e15
"""What a number from outside may be in size: 0, or between these, in whichever unit.

Far beyond every chip, price and text there is (a year has 3e10 ms, the chips of a large data centre a TB of memory
each 1e8 GiB), and products of twenty such numbers, divided by as many, are still numbers of a computer.
"""


def size_issue(number: float) -> str:
    """Return what a number must be where it is larger or nearer to 0 than any amount is, "" where it is not."""
    if abs(number) > MOST_SIZE:
        return f"at most {MOST_SIZE:g}" if number > 0 else f"at least {-MOST_SIZE:g}"
    return f"0, or at least {LEAST_SIZE:g} in size" if 0 < abs(number) < LEAST_SIZE else ""


@dataclass(frozen=True)
class Parameter:
    """Something a sweep may set or vary.

    Attributes:
        name: the key in a sweep file and the column in a table.
        unit: unit of the number, "" where it has none or is a name.
        meaning: one line for people.
        default: value where the sweep is silent; None means that the library decides per entry.
        section: library section that the name is looked up in, or None for a number.
        names: the allowed names where they are not a library section.
        integer: whether only whole numbers make sense.
        low: least value that means anything (excluded when `open_low`).
        high: largest value that means anything.
        open_low: whether `low` itself is refused.
        elsewhere: what a better value costs that no metric counts, with size and source; "" where metrics count all.
        needs: parameters of which one must be set (differ from its default) before this one means anything.
    """

    name: str
    unit: str
    meaning: str
    default: float | str | None
    section: str | None = None
    names: tuple[str, ...] = ()
    integer: bool = False
    low: float = 0.0
    high: float = float("inf")
    open_low: bool = True
    elsewhere: str = ""
    needs: tuple[str, ...] = ()

    @property
    def is_choice(self) -> bool:
        """Whether values are names rather than numbers."""
        return self.section is not None or bool(self.names)


@dataclass(frozen=True)
class Metric:
    """Something that the models compute.

    Attributes:
        name: the bare name.
        unit: its unit, "" for a ratio.
        meaning: one line for people.
        better: the direction that an architect wants, None where it depends.
        scope: "design" for one number per design, "workload" for one per design and workload, "draws" for one per
            design that needs Monte Carlo samples of the parameters, "model" for one that a user's own model returns.
        low: what it is never below.
    """

    name: str
    unit: str
    meaning: str
    better: Literal["min", "max"] | None
    scope: Literal["design", "workload", "draws", "model"]
    low: float = 0.0


Entry = TypeVar("Entry", Parameter, Metric)


def index(*entries: Entry) -> Mapping[str, Entry]:
    """Return entries by name, in their order."""
    return MappingProxyType({entry.name: entry for entry in entries})

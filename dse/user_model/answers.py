"""What a model answers, checked: the metrics that the sweep declares, each a finite number."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dse.sweep.hints import one_of, quoted, suggest
from dse.sweep.user_model import ModelSpec

ERROR = "error"
"""Key by which a model itself says that it has no answer, and why."""


class Failed(Exception):
    """A call brought no answer.

    Attributes:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Lost(Failed):
    """The process that was asked has ended, or must be ended."""


@dataclass(frozen=True)
class Answer:
    """What a model says of one design: its metrics, or None and the reason."""

    values: Mapping[str, float] | None
    reason: str = ""


def failure(reason: str) -> Answer:
    """Return that there is no answer, and why, in text that can be written: half a surrogate pair cannot."""
    return Answer(None, reason.encode(errors="replace").decode())


def answers_of(model: ModelSpec, found: Sequence[Any], rows: int) -> list[Answer]:
    """Return the answers of a call for so many designs.

    Raises:
        Failed: there are not as many.
    """
    if len(found) != rows:
        raise Failed(f"returned {len(found)} answers for {rows} design{'s' if rows > 1 else ''}")
    return [_answer(model, one) for one in found]


def _answer(model: ModelSpec, found: Any) -> Answer:
    names = tuple(model.metrics)
    if not isinstance(found, Mapping):
        return failure(f"returned {quoted(found)}, not a mapping with {one_of(names)}")
    if isinstance(found.get(ERROR), str):
        return failure(found[ERROR] or "says that it failed")
    unknown = [str(key) for key in found if key not in names]
    missing = [name for name in names if name not in found]
    if missing:
        near = f" (it returned {', '.join(unknown)})" if unknown else ""
        return failure(f"returned no {', '.join(missing)}{near}")
    if unknown:
        perhaps = suggest(unknown[0], names)
        hint = f"; perhaps {perhaps}" if perhaps else ""
        return failure(f"returned {unknown[0]}, which model.metrics does not declare{hint}")
    for name in names:
        value = found[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return failure(f"returned {quoted(value)} for {name}, not a number")
        if not abs(value) <= sys.float_info.max:
            return failure(f"returned {value if isinstance(value, float) else 'a number beyond 1e308'} for {name}")
    return Answer({name: float(found[name]) for name in names})

"""What is wrong with a record of a sweep, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError


def says(kind: Any, **fields: Any) -> str:
    """What is wrong with a record, "" where nothing is."""
    try:
        kind.model_validate(fields)
    except ValidationError as error:
        (one,) = error.errors()
        told = one.get("ctx", {})
        return f"{told['what']} is not {told['must_be']}" if told.get("must_be") else str(told.get("what", one["msg"]))
    return ""


def assert_ends(rows: Iterable[tuple[Any, str, Iterable[Any], Iterable[Any]]]) -> None:
    """See that a field of a record takes the values inside of its ends and none outside of them."""
    for kind, field, inside, outside in rows:
        assert [value for value in inside if says(kind, **{field: value})] == [], (kind, field)
        assert [value for value in outside if not says(kind, **{field: value})] == [], (kind, field)

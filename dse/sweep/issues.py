"""What pydantic found, as issues with the place of the key or value and what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from dse.errors import Issue, Place
from dse.sweep.hints import one_of, quoted, suggest
from dse.yaml_positions import KeyPath, Node, path_text


def issues_of(
    error: ValidationError,
    root: Node,
    path: KeyPath,
    kind: type[BaseModel],
    foreign: Mapping[str, str],
    *,
    unwrap: bool = False,
) -> list[Issue]:
    """Return one issue per error that pydantic found in the value at `path`.

    Args:
        error: the errors of one record.
        root: the tree that the record was read from.
        path: where in the tree it stands.
        kind: the record.
        foreign: keys of other tools, for suggestions.
        unwrap: the value at `path` is the record's only key: leave that key out of the paths.
    """
    issues = []
    for details in error.errors(include_url=False):
        below = details["loc"][1:] if unwrap else details["loc"]
        issues.append(_fault(details, root, (*path, *below), kind, foreign))
    return issues


def _fault(details: Any, root: Node, where: KeyPath, kind: type[BaseModel], foreign: Mapping[str, str]) -> Issue:
    value_place, key_place = places_of(root, where)
    context = details.get("ctx", {})
    match details["type"]:
        case "issue":
            return Issue(value_place, path_text(where), context["what"], context["must_be"], context["perhaps"])
        case "extra_forbidden":
            known = _record_at(kind, details["loc"][:-1])
            return unknown_key(str(where[-1]), tuple(known.model_fields), key_place, where, foreign)
        case "missing":
            fields = _record_at(kind, details["loc"][:-1]).model_fields
            keys = one_of(name for name, field in fields.items() if field.is_required())
            return Issue(key_place, path_text(where), f"is missing (needed here: {keys})")
        case "model_type" | "dict_type" | "mapping_type" | "model_attributes_type":
            keys = ", ".join(_record_at(kind, details["loc"]).model_fields)
            return Issue(value_place, path_text(where), quoted(details["input"]), f"a mapping with the keys {keys}")
        case _:
            return Issue(value_place, path_text(where), f"{quoted(details['input'])}: {details['msg']}")


def _record_at(kind: type[BaseModel], where: KeyPath) -> type[BaseModel]:
    """Return the record that stands at a place within another one."""
    for name in where:
        field = kind.model_fields.get(str(name))
        inner = () if field is None else (field.annotation, *get_args(field.annotation))
        kind = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), kind)
    return kind


MAX_LISTED = 12
"""Keys that a message lists beside the one that was probably meant; where none comes near, it lists all."""


def unknown_key(
    key: str, known: Sequence[str], place: Place, where: KeyPath, foreign: Mapping[str, str] | None = None
) -> Issue:
    """Return the issue of a key that does not belong where it stands."""
    if not known:
        return Issue(place, path_text(where), f"the key {quoted(key)} stands where there are no keys")
    what, meant = f"the key {quoted(key)}", suggest(key, known, foreign)
    if meant and len(known) > MAX_LISTED:
        return Issue(place, path_text(where), f"{what} is not one of the {len(known)} that go here", perhaps=meant)
    return Issue(place, path_text(where), what, one_of(known), meant)


def places_of(root: Node, where: KeyPath) -> tuple[Place, Place]:
    """Return the places of the value and of the key at `where`; of the nearest thing above it if it is not there."""
    while (node := root.at(where)) is None:
        where = where[:-1]
        if (node := root.at(where)) is not None:
            return node.key_place, node.key_place
    return node.place, node.key_place

"""Plain data from YAML, built from the parser's events: at half the time of PyYAML's way by a tree of nodes.

The library is read anew by every command, so what reading it takes is what every command waits for.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

Loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
"""PyYAML's safe loader, which follows YAML 1.1, with numbers like 1e9, which YAML 1.1 writes 1.0e+9."""

Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)

MERGE = "<<"
"""Key whose value is merged into the mapping that holds it; what the mapping says itself wins."""


def plain_data(text: str) -> Any:
    """Return what a YAML text holds: mappings, lists, numbers, words; None where it holds nothing.

    Raises:
        yaml.MarkedYAMLError: the text is not YAML, holds several documents, has a key twice in one mapping, or asks
            for more than plain data.
    """
    loader = Loader(text)
    try:
        return _Builder(loader).document()
    finally:
        loader.dispose()


class _Builder:
    """Builds data from the events of a loader, which also says what a plain scalar means."""

    def __init__(self, loader: Any) -> None:
        self._loader, self._next = loader, loader.get_event
        self._anchors: dict[str, Any] = {}
        self._scalars: dict[tuple[str, Any], Any] = {}

    def document(self) -> Any:
        """Return the one document of the stream."""
        self._next()
        if type(self._next()) is yaml.StreamEndEvent:
            return None
        data = self._value(self._next())
        self._next()
        if type(more := self._next()) is not yaml.StreamEndEvent:
            raise yaml.composer.ComposerError(None, None, "must be one document, got another", more.start_mark)
        return data

    def _value(self, event: Any) -> Any:
        kind = type(event)
        made: Any
        if kind is yaml.ScalarEvent:
            made = self._scalar(event) if event.implicit[0] or event.tag else event.value
        elif kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise yaml.composer.ComposerError(None, None, f"no anchor &{event.anchor} before", event.start_mark)
            return self._anchors[event.anchor]
        elif event.tag is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{event.tag} is not plain data", event.start_mark)
        elif kind is yaml.MappingStartEvent:
            made = self._mapping()
        else:
            made = self._sequence()
        if event.anchor is not None:
            self._anchors[event.anchor] = made
        return made

    def _mapping(self) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        merged: list[Any] = []
        while type(event := self._next()) is not yaml.MappingEndEvent:
            key = self._value(event)
            if isinstance(key, dict | list):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", event.start_mark)
            if key in built:
                # YAML itself would keep the last.
                raise yaml.constructor.ConstructorError(None, None, f"{event.value!r} appears twice", event.start_mark)
            value = self._value(self._next())
            if key == MERGE and event.implicit[0]:
                merged += value if isinstance(value, list) else [value]
                if not all(isinstance(one, dict) for one in merged):
                    raise yaml.constructor.ConstructorError(None, None, "<< must merge mappings", event.start_mark)
            else:
                built[key] = value
        for one in merged:
            built = {**one, **built}
        return built

    def _sequence(self) -> list[Any]:
        built = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            built.append(self._value(event))
        return built

    def _scalar(self, event: Any) -> Any:
        written = event.value, event.tag
        if written not in self._scalars:
            tag = event.tag or self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
            node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
            is_merge = tag == "tag:yaml.org,2002:merge"
            self._scalars[written] = event.value if is_merge else self._loader.construct_object(node)
        return self._scalars[written]

"""YAML text to a tree in which every key and value knows its line and column.

A sweep file is data in the YAML 1.2 sense: ``1e9`` is a number, ``on`` and ``no`` are
text, ``12:30`` is text, ``010`` is ten. Anchors and aliases are followed; tags, merge
keys (``<<``), several documents, repeated keys and numbers that are not finite are issues.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from cost_models.errors import ForeignFileError
from cost_models.library import foreign
from cost_models.library.plain_yaml import LOADER, MAX_DEPTH, MAX_VALUES, Scalar, scalar_of
from dse.errors import NOWHERE, Issue, Place, SpecError

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""Keys and list positions from the top to a value."""


@dataclass(frozen=True)
class Node:
    """A value with its place.

    Attributes:
        value: a scalar, a list of nodes, or a mapping from key to node.
        place: where the value starts.
        key_place: where its key starts; the place of the value in a list and at the top.
    """

    value: Scalar | list[Node] | dict[str, Node]
    place: Place
    key_place: Place = NOWHERE

    def plain(self) -> Any:
        """Return the value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def walk(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Yield this node and every one below it, with the path to each."""
        yield path, self
        if isinstance(self.value, dict):
            for key, node in self.value.items():
                yield from node.walk((*path, key))
        elif isinstance(self.value, list):
            for index, node in enumerate(self.value):
                yield from node.walk((*path, index))

    def at(self, path: KeyPath) -> Node | None:
        """Return the node at `path`, or None where there is none."""
        node = self
        for key in path:
            below = node.value
            if isinstance(below, dict):
                inner = below.get(key) if isinstance(key, str) else None
            else:
                inner = below[key] if isinstance(below, list) and isinstance(key, int) and key < len(below) else None
            if inner is None:
                return None
            node = inner
        return node


def node_of(value: object, place: Place = NOWHERE) -> Node:
    """Return plain dicts, lists and scalars as a tree whose nodes all stand at `place`.

    Raises:
        SpecError: a value is of another type, a number is not finite, or a key is not text.
    """
    issues: list[Issue] = []

    def build(inner: object, path: KeyPath) -> Node:
        if len(path) > MAX_DEPTH:
            raise SpecError([Issue(place, "", f"is nested deeper than {MAX_DEPTH} levels")])
        if isinstance(inner, dict):
            for key in inner:
                if not isinstance(key, str):
                    issues.append(Issue(place, path_text(path), f"the key {key!r} is not text"))
            return Node({str(key): build(item, (*path, str(key))) for key, item in inner.items()}, place, place)
        if isinstance(inner, list | tuple):
            return Node([build(item, (*path, index)) for index, item in enumerate(inner)], place, place)
        if isinstance(inner, float) and not math.isfinite(inner):
            issues.append(Issue(place, path_text(path), f"{inner}", "a finite number"))
        elif inner is not None and not isinstance(inner, str | int | float | bool):
            issues.append(
                Issue(place, path_text(path), f"a {type(inner).__name__}", "text, a number, a list or a dict")
            )
            return Node(None, place, place)
        return Node(inner, place, place)

    node = build(value, ())
    if issues:
        raise SpecError(issues)
    return node


MAX_KEY = 200
"""Most characters of a key that a message repeats."""


def path_text(path: KeyPath) -> str:
    """Return a path as people write it, ``objectives[0].direction``; of a key that nobody means only its beginning."""
    text = ""
    for key in path:
        if isinstance(key, str) and len(key) > MAX_KEY:
            key = f"{key[:MAX_KEY]}..."
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def read_text(path: Path, *, asked_at: Place | None = None) -> str:
    """Return the text of a file.

    Args:
        path: the file.
        asked_at: where the file was named, for the issue; the file itself where None.

    Raises:
        SpecError: the file cannot be read or is not UTF-8.
    """
    place = asked_at or Place(str(path))
    about = f"{path} " if asked_at else ""
    try:
        return foreign.read_text(path)
    except ForeignFileError as error:
        raise SpecError([Issue(place, "", f"{about}{error.what}")]) from None


class TextError(SpecError):
    """Issues that can be told from the text alone, with what could be read of it all the same.

    Attributes:
        tree: the document, the first of repeated keys standing; None where it is empty.
    """

    def __init__(self, issues: Iterable[Issue], tree: Node | None) -> None:
        super().__init__(issues)
        self.tree = tree


def parse_yaml(text: str, file: str, *, fixed: Place | None = None) -> Node:
    """Return the one document of `text` as a tree.

    Args:
        text: the YAML.
        file: name of the file, for the places.
        fixed: a place to give to every node instead of its line and column (an argument of the command line).

    Raises:
        SpecError: every issue that can be told from the text alone.
    """
    composer = _Composer(file, fixed)
    try:
        composer.read(text)
    except yaml.YAMLError as error:
        _refuse_deep_nesting(text, error, _Composer(file, fixed))
        raise SpecError([*composer.issues, _syntax_issue(error, composer)]) from None
    if not composer.issues and composer.top is None:
        composer.issues.append(Issue(fixed or Place(file), "", "is empty"))
    if composer.issues:
        raise TextError(composer.issues, composer.top)
    assert composer.top is not None
    return composer.top


@dataclass
class _Open:
    """A mapping or list whose end has not been read yet."""

    node: Node
    anchor: str | None
    path: KeyPath
    key: tuple[str, Place] | None = None


class _TooDeepError(SpecError):
    """Mappings and lists are nested deeper than is read."""


def _refuse_deep_nesting(text: str, error: yaml.YAMLError, composer: _Composer) -> None:
    """Raise the issue of nesting where that comes before the issue of syntax.

    The scanner reads up to 1,024 characters ahead of the events, and some of its versions have a limit of nesting of
    their own: the text before the place of its issue is read again for what it is.
    """
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is None:
        return
    try:
        composer.read(text[: mark.index])
    except _TooDeepError:
        raise
    except (yaml.YAMLError, SpecError):
        return


class _Composer:
    """Builds the tree from the parser's events, without recursion, collecting issues as it goes."""

    def __init__(self, file: str, fixed: Place | None) -> None:
        self.file, self.fixed = file, fixed
        self.issues: list[Issue] = []
        self.top: Node | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._sizes: list[int] = [0]
        self._values = 0
        self._documents = 0

    def place_of(self, mark: Any) -> Place:
        return self.fixed or Place(self.file, mark.line + 1, mark.column + 1)

    def read(self, text: str) -> None:
        """Take every event of a text."""
        for event in yaml.parse(text, Loader=LOADER):
            self.take(event)

    def take(self, event: Any) -> None:
        """Take one event of the parser."""
        place = self.place_of(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._give_up(place, "a second document (---) starts here; one file is one sweep")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, place)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, place)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event, place)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()

    def _give_up(self, place: Place, what: str) -> NoReturn:
        self.issues.append(Issue(place, path_text(self._path()), what))
        raise SpecError(self.issues)

    def _path(self) -> KeyPath:
        """Return the path of the value that comes next."""
        if not self._stack:
            return ()
        inner = self._stack[-1]
        if isinstance(inner.node.value, list):
            return (*inner.path, len(inner.node.value))
        return inner.path if inner.key is None else (*inner.path, inner.key[0])

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node.value, dict) and self._stack[-1].key is None

    def _scalar(self, event: Any, place: Place) -> None:
        self._refuse_tag(event, place)
        if self._awaits_key():
            self._key(event.value, place)
            return
        value = event.value if event.style else scalar_of(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self.issues.append(Issue(place, path_text(self._path()), event.value[:40], "a finite number"))
        node = Node(value, place)
        if event.anchor:
            self._anchors[event.anchor] = (node, 1, 0)
        self._count(1, place)
        self._sizes[-1] += 1
        self._attach(node)

    def _key(self, key: str, place: Place) -> None:
        inner = self._stack[-1]
        if key == "<<":
            self.issues.append(Issue(place, path_text(inner.path), "merge keys (<<) are not followed; use extends"))
        assert isinstance(inner.node.value, dict)
        if key in inner.node.value:
            first = inner.node.value[key].key_place
            path = path_text((*inner.path, key))
            perhaps = "numbers with commas: write 1500, not 1,500" if key.isdecimal() else ""
            what = f"the key {key} is given twice (first in line {first.line})"
            self.issues.append(Issue(place, path, what, perhaps=perhaps))
        inner.key = key, place

    def _open(self, event: Any, place: Place) -> None:
        self._refuse_tag(event, place)
        if self._awaits_key():
            self._give_up(place, "a key is a list or a mapping; keys are text")
        if len(self._stack) >= MAX_DEPTH:
            raise _TooDeepError([*self.issues, Issue(place, "", f"is nested deeper than {MAX_DEPTH} levels")])
        node = Node({} if isinstance(event, yaml.MappingStartEvent) else [], place)
        self._count(1, place)
        self._stack.append(_Open(node, event.anchor, self._path()))
        self._sizes.append(1)

    def _close(self) -> None:
        done = self._stack.pop()
        size = self._sizes.pop()
        if done.anchor:
            self._anchors[done.anchor] = (done.node, size, _depth(done.node))
        self._sizes[-1] += size
        self._attach(done.node)

    def _alias(self, anchor: str | None, place: Place) -> None:
        if self._awaits_key():
            self._give_up(place, f"the alias *{anchor} stands where a key must be")
        if anchor is None or anchor not in self._anchors:
            self._give_up(place, f"the alias *{anchor} has no anchor &{anchor} that ends before it")
        node, size, depth = self._anchors[anchor]
        if len(self._stack) + depth > MAX_DEPTH:
            self._give_up(place, f"is nested deeper than {MAX_DEPTH} levels")
        self._count(size, place)
        self._sizes[-1] += size
        self._attach(Node(node.value, place))

    def _count(self, values: int, place: Place) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self._give_up(place, f"the file holds more than {MAX_VALUES} values")

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            self.issues.append(Issue(place, path_text(self._path()), f"the tag {event.tag} has no meaning in a sweep"))

    def _attach(self, node: Node) -> None:
        if not self._stack:
            self.top = Node(node.value, node.place, node.place)
            return
        inner = self._stack[-1]
        if isinstance(inner.node.value, list):
            inner.node.value.append(Node(node.value, node.place, node.place))
        elif isinstance(inner.node.value, dict) and inner.key is not None:
            # A repeated key keeps its first value: the issue is already noted.
            key, place = inner.key
            inner.node.value.setdefault(key, Node(node.value, node.place, place))
            inner.key = None


def _depth(node: Node) -> int:
    """Return how many mappings and lists stand one within the other; none in a scalar."""
    if not isinstance(node.value, dict | list):
        return 0
    below = node.value.values() if isinstance(node.value, dict) else node.value
    return 1 + max(map(_depth, below), default=0)


def _syntax_issue(error: yaml.YAMLError, composer: _Composer) -> Issue:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = composer.place_of(mark) if mark else Place(composer.file)
        says = " ".join(part for part in (error.context, error.problem) if part)
        perhaps = "a tab, where YAML wants spaces" if "cannot start any token" in says else ""
        return Issue(place, "", f"is not YAML: {says}", perhaps=perhaps)
    return Issue(composer.fixed or Place(composer.file), "", f"is not YAML: {' '.join(str(error).split())}")

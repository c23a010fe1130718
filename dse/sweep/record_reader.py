"""Records read out of a tree one by one, so that one issue hides no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cost_models.performance.mix import MIX
from cost_models.quantities.records import Parameter
from dse.errors import Issue
from dse.sweep.fields import ValidationContext, is_identifier
from dse.sweep.hints import quoted
from dse.sweep.issues import issues_of, places_of, unknown_key
from dse.yaml_positions import KeyPath, Node, path_text

R = TypeVar("R", bound=BaseModel)

REQUIRED = ("name", "workloads", "space", "objectives", "search")
RESERVED = ("technology", MIX)
"""Names that a workload or baseline cannot have: they begin paths of another kind."""


class RecordReader:
    """A tree, the records in it, and what is wrong with them.

    Attributes:
        root: the tree, without keys that have no value.
        issues: what is wrong.
        context: what values are checked against.
    """

    context: ValidationContext

    def __init__(self, root: Node) -> None:
        self.root, self.issues = root, list[Issue]()
        self._refuse_empty_values()

    def _has(self, section: str) -> bool:
        return self.root.at((section,)) is not None

    def _mapping_at(self, path: KeyPath) -> Mapping[str, Node]:
        node = self.root.at(path)
        return node.value if node is not None and isinstance(node.value, dict) else {}

    def _fault(self, path: KeyPath, what: str, must_be: str = "", perhaps: str = "", *, at_key: bool = False) -> None:
        value_place, key_place = places_of(self.root, path)
        self.issues.append(Issue(key_place if at_key else value_place, path_text(path), what, must_be, perhaps))

    def _unknown_key(self, path: KeyPath, known: Sequence[str], foreign: Mapping[str, str] | None = None) -> None:
        place = places_of(self.root, path)[1]
        self.issues.append(unknown_key(str(path[-1]), known, place, path, foreign))

    def _refuse_empty_values(self) -> None:
        """Note every key without a value, and leave it out."""
        self._emptied: set[KeyPath] = set()
        for path, node in self.root.walk():
            if node.value is None:
                self._fault(path, "is empty", perhaps=_without_comma(self._mapping_at(path[:-1]), str(path[-1])))
                self._emptied.add(path)

        def without(node: Node) -> Node:
            if isinstance(node.value, dict):
                kept = {key: without(inner) for key, inner in node.value.items() if inner.value is not None}
                return replace(node, value=kept)
            if isinstance(node.value, list):
                return replace(node, value=[without(inner) for inner in node.value])
            return node

        self.root = without(self.root)

    def _collection(self, section: str, kind: type[dict[str, Node]] | type[list[Node]], *, required: bool) -> bool:
        """Return whether a section is there and a mapping (or list) with something in it; note what is wrong."""
        node = self.root.at((section,))
        if node is None:
            return False
        is_mapping = kind is dict
        if not isinstance(node.value, kind):
            self._fault((section,), quoted(node.plain()), "a mapping" if is_mapping else "a list")
            return False
        if not node.value and required:
            self._fault((section,), f"has no {'entry' if is_mapping else 'item'}; it needs at least one")
        return bool(node.value)

    def _record(
        self,
        kind: type[R],
        path: KeyPath,
        foreign: Mapping[str, str] = MappingProxyType({}),
        *,
        parameter: Parameter | None = None,
        wrapped_as: str = "",
    ) -> R | None:
        """Return the record at `path`, None where it is at fault.

        Args:
            kind: the record.
            path: where its mapping stands.
            foreign: keys of other tools.
            parameter: the parameter whose values it holds.
            wrapped_as: the only key of the record where `path` leads to that key's bare value.
        """
        node = self.root.at(path)
        assert node is not None
        plain = {wrapped_as: node.plain()} if wrapped_as else node.plain()
        try:
            folder = Path(node.place.file).parent if node.place.line else Path()
            return kind.model_validate(plain, context=replace(self.context, parameter=parameter, folder=folder))
        except ValidationError as error:
            result = issues_of(error, self.root, path, kind, foreign, unwrap=bool(wrapped_as))
            emptied = {path_text(path) for path in self._emptied}
            self.issues += [issue for issue in result if issue.path not in emptied]
            return None

    def _entries(self, section: str, kind: type[R], foreign: Mapping[str, str]) -> dict[str, R]:
        """Return the records of a mapping section by name."""
        if not self._collection(section, dict, required=section in REQUIRED):
            return {}
        records = {}
        for name in self._mapping_at((section,)):
            if not is_identifier(name) or name in RESERVED:
                must_be = "letters, digits, _ or -, beginning with a letter" if name not in RESERVED else "a free name"
                self._fault((section, name), f"the name {quoted(name)}", must_be, at_key=True)
            record = self._record(kind, (section, name), foreign)
            if record is not None:
                records[name] = record
        return records

    def _listed(self, section: str, kind: type[R], foreign: Mapping[str, str]) -> dict[int, R]:
        """Return the records of a list section by position."""
        if not self._collection(section, list, required=section in REQUIRED):
            return {}
        node = self.root.at((section,))
        assert node is not None and isinstance(node.value, list)
        read = {index: self._record(kind, (section, index), foreign) for index in range(len(node.value))}
        return {index: record for index, record in read.items() if record is not None}


def _without_comma(around: Mapping[str, Node], key: str) -> str:
    """Return the number that was probably meant where YAML took what follows its comma for a key; "" of no such key.

    Three digits are thousands (``1,500``), other than three a fraction (``0,5``), as are three behind a zero.
    """
    keys = list(around)
    before = around[keys[keys.index(key) - 1]].value if key in keys[1:] else None
    if not key.isdecimal() or isinstance(before, bool) or not isinstance(before, int | float):
        return ""
    between = "" if len(key) == 3 and before else "."
    return f"the rest of a number with a comma: write {before}{between}{key}"

"""The tree of a claims file: its sections, the issues found so far, and its parts read by the reader of sweeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cost_models.library import shipped_library
from dse.errors import Issue, Place, SpecError
from dse.sweep import Spec
from dse.sweep.chips import ChipsSpec
from dse.sweep.hints import quoted, suggest
from dse.sweep.reader import read_spec
from dse.yaml_positions import Node

SECTIONS = ("name", "workloads", "subjects", "claims", "economics")

SUBJECT_KEYS: Mapping[str, tuple[str, ...]] = {
    "chips": (*ChipsSpec.model_fields, "batch"),
    "design": ("design", "technology", "economics"),
    "space": ("space", "search", "technology", "economics", "constraints", "objectives"),
    "rates": ("rates", "serving_stack", "overlap", "technology"),
}
"""Keys of a subject by its kind."""

SWEPT = {"objectives": [{"metric": "tdp_w", "direction": "minimize"}], "search": {"sampler": "grid"}}
"""What a sweep needs beside what a claims file says."""


class Tree:
    """One tree and its issues.

    Raises:
        SpecError: the tree is no mapping.
    """

    def __init__(self, root: Node) -> None:
        self.root, self.library = root, shipped_library()
        self.issues: list[Issue] = []
        if not isinstance(root.value, dict):
            raise SpecError([Issue(root.place, "", quoted(root.plain()), f"a mapping with {', '.join(SECTIONS)}")])
        self.parts: Mapping[str, Node] = root.value

    def fault(self, place: Place, path: str, what: str, must_be: str = "", perhaps: str = "") -> None:
        """Note an issue."""
        self.issues.append(Issue(place, path, what, must_be, perhaps))

    def unknown(self, node: Node, path: str, must_be: str, known: Iterable[str]) -> None:
        """Note that a node holds none of the known names."""
        self.fault(node.place, path, quoted(node.plain()), must_be, suggest(str(node.value), known))

    def mapping(self, section: str) -> Mapping[str, Node]:
        """Return the entries of a section; none, with an issue, where it is no mapping."""
        node = self.parts.get(section)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.fault(node.place, section, quoted(node.plain()), "a mapping")
            return {}
        return node.value

    def spec(self, parts: Mapping[str, Node], renamed: tuple[tuple[str, str], ...]) -> Spec | None:
        """Return the sweep of some parts; None where they are at fault, issues named by what people wrote."""
        try:
            return read_spec(Node(dict(parts), self.root.place, self.root.place), "", self.library)
        except SpecError as error:
            for issue in error.issues:
                path = issue.path
                for old, new in renamed:
                    path = re.sub(rf"^{old}", new, path)
                path = re.sub(r"(claims\[\d+\])\.(near|min|max)$", r"\1.value", path)
                if (reported := replace(issue, path=path)) not in self.issues:
                    self.issues.append(reported)
            return None


def optional(node: Node) -> Node:
    """Return workloads of which none must fit: a claim on one says nothing of the memory for another."""
    if not isinstance(node.value, dict):
        return node
    optional = {}
    for name, inner in node.value.items():
        fields = inner.value
        if isinstance(fields, dict) and "required" not in fields:
            inner = replace(inner, value={**fields, "required": Node(False, inner.place, inner.place)})
        optional[name] = inner
    return replace(node, value=optional)

"""The keys of a claims file: subjects of one kind each, and claims with their lists written out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cost_models.quantities.metrics import METRICS
from dse.analysis.audit.tree import SUBJECT_KEYS, Tree
from dse.sweep.fields import is_identifier
from dse.sweep.hints import one_of, quoted
from dse.sweep.issues import unknown_key
from dse.yaml_positions import Node

KINDS = ("chips", "design", "space", "rates")
CLAIM_KEYS = (
    "key", "of", "workload", "metric", "value", "within", "at", "relative_to", "source", "grade", "note", "question",
    "reading", "not_comparable",
)  # fmt: skip
REQUIRED = ("of", "metric", "value", "source", "grade")
GRADES = ("high", "medium", "low")
SIDES = ("about", "least", "most")
LISTS = ("of", "workload", "metric", "relative_to")


@dataclass(frozen=True)
class Written:
    """A claim with its lists written out: the nodes of its keys.

    Attributes:
        position: place of its entry in the file.
        key: its name.
        nodes: its keys.
        node: the whole entry.
    """

    position: int
    key: str
    nodes: Mapping[str, Node]
    node: Node

    def text(self, name: str) -> str:
        """Return the value of a key as text, "" where the claim has none."""
        return str(self.nodes[name].value) if name in self.nodes else ""


class KeyReader(Tree):
    """Reads kinds and claims, noting what makes no sense."""

    def kinds(self) -> dict[str, str]:
        """Return the kind of each subject whose keys make sense."""
        kinds = {}
        for name, node in self.mapping("subjects").items():
            path = f"subjects.{name}"
            if not is_identifier(name):
                self.fault(node.key_place, path, quoted(name), "letters, digits, _ or -")
            if not isinstance(node.value, dict):
                self.fault(node.place, path, quoted(node.plain()), f"a mapping with {one_of(KINDS)}")
                continue
            result = [kind for kind in KINDS if kind in node.value]
            if len(result) != 1:
                what = f"has {' and '.join(result)}" if result else f"has none of {', '.join(KINDS)}"
                self.fault(node.key_place, path, f"{what}; it needs exactly one")
                continue
            (kinds[name],) = result
            known = SUBJECT_KEYS[kinds[name]]
            for key, inner in node.value.items():
                if key not in known:
                    self.issues.append(unknown_key(key, known, inner.key_place, ("subjects", name, key)))
        return kinds

    def claims(self, kinds: Mapping[str, str]) -> Iterator[Written]:
        """Yield every claim, lists written out, whose keys make sense."""
        section = self.parts.get("claims")
        if section is None:
            return
        if not isinstance(section.value, list) or not section.value:
            self.fault(section.place, "claims", "has no claim; it needs a list of at least one")
            return
        taken: dict[str, int] = {}
        for position, node in enumerate(section.value):
            path = f"claims[{position}]"
            if not isinstance(node.value, dict):
                self.fault(node.place, path, quoted(node.plain()), "a mapping")
                continue
            before = len(self.issues)
            self._check_claim(position, node, node.value, kinds)
            if len(self.issues) > before:
                continue
            fields = node.value
            names = [name for name in LISTS if name in fields]
            options = [_items(fields[name]) for name in names]
            stem = str(fields["key"].value) if "key" in fields else f"claim_{position + 1}"
            if stem in taken:
                what = f"{stem} is the key of claims[{taken[stem]}] already"
                self.fault(fields["key"].place, f"{path}.key", what)
            taken[stem] = position
            several = [name for name, items in zip(names, options, strict=True) if len(items) > 1]
            for chosen in itertools.product(*options):
                own = dict(zip(names, chosen, strict=True))
                suffix = "".join(f", {own[name].value}" for name in several)
                yield Written(position, stem + suffix, {**fields, **own}, node)

    def _check_claim(self, position: int, node: Node, fields: Mapping[str, Node], kinds: Mapping[str, str]) -> None:
        path = f"claims[{position}]"
        for key, inner in fields.items():
            if key not in CLAIM_KEYS:
                self.issues.append(unknown_key(key, CLAIM_KEYS, inner.key_place, ("claims", position, key)))
        for key in REQUIRED:
            if key not in fields:
                self.fault(node.place, f"{path}.{key}", "is missing")
        self._check_words(path, fields)
        known = tuple(self.mapping("subjects"))
        # A claim that is held against nothing is no constraint of a space.
        compared = "of" in fields and "not_comparable" not in fields
        asked = {kinds.get(str(item.value)) for item in _items(fields["of"])} if compared else set()
        for key in ("of", "relative_to"):
            for item in _items(fields[key]) if key in fields else ():
                if item.value not in known:
                    self.unknown(item, f"{path}.{key}", f"a subject of this file ({one_of(known)})", known)
                elif key == "relative_to" and kinds.get(str(item.value)) in ("space", "rates"):
                    self.fault(item.place, f"{path}.{key}", f"{item.value} is unknown; nothing is relative to it")
                elif key == "relative_to" and kinds.get(str(item.value)) == "design" and "space" in asked:
                    what = f"{item.value} is a design; what is claimed of a space can be relative to chips alone"
                    self.fault(item.place, f"{path}.{key}", what)
        workloads = tuple(self.mapping("workloads"))
        for item in _items(fields["workload"]) if "workload" in fields else ():
            if item.value not in workloads:
                self.unknown(item, f"{path}.workload", f"a workload of this file ({one_of(workloads)})", workloads)
        for item in _items(fields["metric"]) if "metric" in fields else ():
            self._check_metric(path, item, "workload" in fields)

    def _check_metric(self, path: str, item: Node, has_workload: bool) -> None:
        metric = METRICS.get(str(item.value))
        if metric is None:
            self.unknown(item, f"{path}.metric", "a metric", METRICS)
        elif (metric.scope == "workload") != has_workload:
            says = "belongs to the machine: no workload goes with it" if has_workload else "needs a workload"
            self.fault(item.place, f"{path}.metric", f"{metric.name} {says}")

    def _check_words(self, path: str, fields: Mapping[str, Node]) -> None:
        for key, words in (("grade", GRADES), ("at", SIDES)):
            if key in fields and fields[key].value not in words:
                self.unknown(fields[key], f"{path}.{key}", one_of(words), words)
        for key in ("key", "source", "note", "question", "reading", "not_comparable"):
            if key in fields and not isinstance(fields[key].value, str):
                self.fault(fields[key].place, f"{path}.{key}", quoted(fields[key].plain()), "text")
        side = fields["at"].value if "at" in fields else "about"
        if side == "about" and "within" not in fields and "value" in fields:
            self.fault(fields["value"].place, f"{path}.within", "is missing: a value about needs a tolerance")
        if side != "about" and "within" in fields:
            self.fault(fields["within"].place, f"{path}.within", f"does not go with at: {side}")


def _items(node: Node) -> list[Node]:
    return node.value if isinstance(node.value, list) else [node]

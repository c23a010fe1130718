"""A claims file to records; every fault with its place.

    name: my_case
    workloads:
      chat: {model: llama2_70b, batch: 32}
    subjects:
      gpus: {chips: 2x a100_80gb_sxm}
      preset: {design: {memory: lpddr5x_9600, memory_devices: 16}}
      secret: {space: {memory: {values: [lpddr5x_9600, hbm3]}}, search: {sampler: grid}}
      rates: {rates: {weight_bits: {low: 2, high: 4, levels: 9}}, stack: ideal}
    claims:
      - {of: secret, workload: chat, metric: tokens_per_s, value: 857, within: 1 %, source: "a slide", grade: low}

``of``, ``workload``, ``metric`` and ``relative_to`` may be lists: one claim for every combination. ``at: least`` and
``at: most`` make a value a bound. Spaces, designs, workloads and chips are read by the reader of sweeps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cost_models.library import load_library
from cost_models.quantities import METRICS
from dse.audit.records import (
    ChipSubject,
    Claim,
    ClaimsFile,
    DesignSubject,
    RatesSubject,
    SpaceSubject,
    Subject,
)
from dse.errors import Fault, SpecError
from dse.spec import ConstraintSpec, FixedSpec, Spec
from dse.spec.faults import unknown_key
from dse.spec.fields import is_identifier
from dse.spec.reader import read_spec
from dse.spec.words import one_of, quoted, suggest
from dse.yaml_positions import Node, node_of, parse_yaml, read_text

SECTIONS = ("name", "workloads", "subjects", "claims", "economics")
KINDS = ("chips", "design", "space", "rates")
SUBJECT_KEYS: Mapping[str, tuple[str, ...]] = {
    "chips": ("chips", "weight_format", "kv_bits", "act_bits", "weight_execution", "stack", "batch"),
    "design": ("design", "technology", "economics"),
    "space": ("space", "search", "technology", "economics", "constraints", "objectives"),
    "rates": ("rates", "stack", "overlap", "technology"),
}
CLAIM_KEYS = (
    "key", "of", "workload", "metric", "value", "within", "at", "relative_to", "source", "grade", "note", "question",
    "reading", "not_comparable",
)  # fmt: skip
REQUIRED = ("of", "metric", "value", "source", "grade")
GRADES = ("high", "medium", "low")
OVERLAPS = ("step", "operators")
SIDES = ("about", "least", "most")
LISTS = ("of", "workload", "metric", "relative_to")
RATE_AXES: Mapping[str, tuple[float, float, int, bool]] = {
    "weight_bits": (1.5, 16.0, 30, False),
    "kv_bits": (2.0, 16.0, 29, False),
    "tflops": (50.0, 2000.0, 13, True),
}
"""Axes of a machine known by rates alone, with what they span where the file is silent."""

_STAND_IN = "1x a100_80gb_sxm"
_SWEPT = {"objectives": [{"metric": "tdp_w", "direction": "minimize"}], "search": {"sampler": "grid"}}


def load_claims(path: Path) -> ClaimsFile:
    """Return the claims of a file.

    Raises:
        SpecError: every fault of the file.
    """
    return read_claims(parse_yaml(read_text(path), str(path)))


def read_claims(root: Node) -> ClaimsFile:
    """Return the claims that a tree describes.

    Raises:
        SpecError: every fault of the tree.
    """
    return _Reader(root).read()


@dataclass(frozen=True)
class _One:
    """A claim with its lists written out: the nodes of its keys."""

    position: int
    key: str
    nodes: Mapping[str, Node]
    node: Node

    def text(self, name: str) -> str:
        return str(self.nodes[name].value) if name in self.nodes else ""


class _Reader:
    """Reads one tree, collecting faults."""

    def __init__(self, root: Node) -> None:
        self.root, self.library = root, load_library()
        self.faults: list[Fault] = []
        if not isinstance(root.value, dict):
            raise SpecError([Fault(root.place, "", quoted(root.plain()), f"a mapping with {', '.join(SECTIONS)}")])
        self.parts: Mapping[str, Node] = root.value

    def read(self) -> ClaimsFile:
        for key, node in self.parts.items():
            if key not in SECTIONS:
                self.faults.append(unknown_key(key, SECTIONS, node.key_place, (key,)))
        for key in ("name", "workloads", "subjects", "claims"):
            if key not in self.parts:
                self.faults.append(Fault(self.root.place, key, "is missing"))
        kinds = self._kinds()
        ones = list(self._ones(kinds))
        checked = self._checked(kinds, ones)
        if self.faults or checked is None:
            raise SpecError(self.faults)
        spec, constraints = checked
        claims = tuple(self._claim(one, asks) for one, asks in zip(ones, constraints, strict=True))
        self._refuse_contradictions(claims, spec)
        subjects = {name: self._subject(name, kind, claims, spec) for name, kind in kinds.items()}
        if self.faults:
            raise SpecError(self.faults)
        return ClaimsFile(
            name=str(self.parts["name"].value),
            workloads=spec.workloads,
            subjects={name: subject for name, subject in subjects.items() if subject is not None},
            claims=claims,
            spec=spec,
        )

    # -- keys -------------------------------------------------------------------------------------------------------

    def _mapping(self, section: str) -> Mapping[str, Node]:
        node = self.parts.get(section)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.faults.append(Fault(node.place, section, quoted(node.plain()), "a mapping"))
            return {}
        return node.value

    def _kinds(self) -> dict[str, str]:
        """Return the kind of each subject whose keys make sense."""
        kinds = {}
        for name, node in self._mapping("subjects").items():
            path = f"subjects.{name}"
            if not is_identifier(name):
                self.faults.append(Fault(node.key_place, path, quoted(name), "letters, digits, _ or -"))
            if not isinstance(node.value, dict):
                self.faults.append(Fault(node.place, path, quoted(node.plain()), f"a mapping with {one_of(KINDS)}"))
                continue
            found = [kind for kind in KINDS if kind in node.value]
            if len(found) != 1:
                what = f"has {' and '.join(found)}" if found else f"has none of {', '.join(KINDS)}"
                self.faults.append(Fault(node.key_place, path, f"{what}; it needs exactly one"))
                continue
            kinds[name] = found[0]
            for key, inner in node.value.items():
                if key not in SUBJECT_KEYS[found[0]]:
                    self.faults.append(
                        unknown_key(key, SUBJECT_KEYS[found[0]], inner.key_place, ("subjects", name, key))
                    )
        return kinds

    def _ones(self, kinds: Mapping[str, str]) -> Iterator[_One]:
        """Yield every claim, lists written out, whose keys make sense."""
        section = self.parts.get("claims")
        if section is None:
            return
        if not isinstance(section.value, list) or not section.value:
            self.faults.append(Fault(section.place, "claims", "has no claim; it needs a list of at least one"))
            return
        taken: dict[str, int] = {}
        for position, node in enumerate(section.value):
            path = f"claims[{position}]"
            if not isinstance(node.value, dict):
                self.faults.append(Fault(node.place, path, quoted(node.plain()), "a mapping"))
                continue
            before = len(self.faults)
            self._check_claim(position, node, node.value, kinds)
            if len(self.faults) > before:
                continue
            fields = node.value
            names = [name for name in LISTS if name in fields]
            options = [_items(fields[name]) for name in names]
            stem = str(fields["key"].value) if "key" in fields else f"claim_{position + 1}"
            if stem in taken:
                place = fields["key"].place
                self.faults.append(Fault(place, f"{path}.key", f"{stem} is the key of claims[{taken[stem]}] already"))
            taken[stem] = position
            several = [name for name, items in zip(names, options, strict=True) if len(items) > 1]
            for chosen in itertools.product(*options):
                own = dict(zip(names, chosen, strict=True))
                suffix = "".join(f", {own[name].value}" for name in several)
                yield _One(position, stem + suffix, {**fields, **own}, node)

    def _check_claim(self, position: int, node: Node, fields: Mapping[str, Node], kinds: Mapping[str, str]) -> None:
        path = f"claims[{position}]"
        for key, inner in fields.items():
            if key not in CLAIM_KEYS:
                self.faults.append(unknown_key(key, CLAIM_KEYS, inner.key_place, ("claims", position, key)))
        for key in REQUIRED:
            if key not in fields:
                self.faults.append(Fault(node.place, f"{path}.{key}", "is missing"))
        self._check_words(path, fields)
        known = tuple(self._mapping("subjects"))
        for key in ("of", "relative_to"):
            for item in _items(fields[key]) if key in fields else ():
                if item.value not in known:
                    must_be = f"a subject of this file ({one_of(known)})"
                    self.faults.append(
                        Fault(
                            item.place, f"{path}.{key}", quoted(item.plain()), must_be, suggest(str(item.value), known)
                        )
                    )
                elif key == "relative_to" and kinds.get(str(item.value)) in ("space", "rates"):
                    self.faults.append(
                        Fault(item.place, f"{path}.{key}", f"{item.value} is unknown; nothing is relative to it")
                    )
        workloads = tuple(self._mapping("workloads"))
        for item in _items(fields["workload"]) if "workload" in fields else ():
            if item.value not in workloads:
                must_be = f"a workload of this file ({one_of(workloads)})"
                self.faults.append(
                    Fault(
                        item.place,
                        f"{path}.workload",
                        quoted(item.plain()),
                        must_be,
                        suggest(str(item.value), workloads),
                    )
                )
        for item in _items(fields["metric"]) if "metric" in fields else ():
            self._check_metric(path, item, "workload" in fields)

    def _check_metric(self, path: str, item: Node, has_workload: bool) -> None:
        metric = METRICS.get(str(item.value))
        if metric is None:
            self.faults.append(
                Fault(item.place, f"{path}.metric", quoted(item.plain()), "a metric", suggest(str(item.value), METRICS))
            )
        elif (metric.scope == "workload") != has_workload:
            says = (
                "needs a workload" if metric.scope == "workload" else "belongs to the machine: no workload goes with it"
            )
            self.faults.append(Fault(item.place, f"{path}.metric", f"{metric.name} {says}"))

    def _check_words(self, path: str, fields: Mapping[str, Node]) -> None:
        for key, words in (("grade", GRADES), ("at", SIDES)):
            if key in fields and fields[key].value not in words:
                node = fields[key]
                perhaps = suggest(str(node.value), words)
                self.faults.append(Fault(node.place, f"{path}.{key}", quoted(node.plain()), one_of(words), perhaps))
        for key in ("key", "source", "note", "question", "reading", "not_comparable"):
            if key in fields and not isinstance(fields[key].value, str):
                self.faults.append(Fault(fields[key].place, f"{path}.{key}", quoted(fields[key].plain()), "text"))
        side = fields["at"].value if "at" in fields else "about"
        if side == "about" and "within" not in fields and "value" in fields:
            self.faults.append(
                Fault(fields["value"].place, f"{path}.within", "is missing: a value about needs a tolerance")
            )
        if side != "about" and "within" in fields:
            self.faults.append(Fault(fields["within"].place, f"{path}.within", f"does not go with at: {side}"))

    # -- numbers, by the reader of sweeps ---------------------------------------------------------------------------

    def _checked(self, kinds: Mapping[str, str], ones: list[_One]) -> tuple[Spec, list[ConstraintSpec]] | None:
        """Return the workloads and chips as a sweep, and every claim as a constraint; None where they are at fault."""
        place = self.root.place
        baselines: dict[str, Node] = {}
        subjects = self._mapping("subjects")
        for name, kind in kinds.items():
            own = subjects[name]
            if kind == "chips" and isinstance(own.value, dict):
                kept = {key: node for key, node in own.value.items() if key in SUBJECT_KEYS["chips"]}
                baselines[name] = Node(kept, own.place, own.key_place)
            else:
                # Stands for a subject that is no chip, so that claims relative to it can be read.
                baselines[name] = node_of({"chips": _STAND_IN}, own.place)
        parts = {
            "name": self.parts.get("name", Node("claims", place, place)),
            "workloads": _optional(self.parts.get("workloads", Node({}, place, place))),
            "baselines": Node(baselines, place, place),
            "space": node_of({"kv_bits": 16}),
            **{key: node_of(value) for key, value in _SWEPT.items()},
        }
        constraints: list[ConstraintSpec] = []
        spec = self._spec(parts, (("baselines.", "subjects."),))
        for one in ones:
            with_claim = {**parts, "constraints": Node([_constraint(one)], one.node.place, one.node.place)}
            checked = (
                spec if spec is None else self._spec(with_claim, ((r"constraints\[0\]", f"claims[{one.position}]"),))
            )
            if checked is not None:
                constraints.append(checked.constraints[0])
        return None if spec is None or len(constraints) < len(ones) else (spec, constraints)

    def _spec(self, parts: Mapping[str, Node], renamed: tuple[tuple[str, str], ...]) -> Spec | None:
        """Return the sweep of some parts; None where they are at fault, faults named by what people wrote."""
        try:
            return read_spec(Node(dict(parts), self.root.place, self.root.place), "", self.library)
        except SpecError as error:
            for fault in error.faults:
                path = fault.path
                for old, new in renamed:
                    path = re.sub(rf"^{old}", new, path)
                path = re.sub(r"(claims\[\d+\])\.(near|min|max)$", r"\1.value", path)
                if (told := replace(fault, path=path)) not in self.faults:
                    self.faults.append(told)
            return None

    def _claim(self, one: _One, asks: ConstraintSpec) -> Claim:
        value = asks.near if asks.near is not None else asks.min if asks.min is not None else asks.max
        assert value is not None
        return Claim(
            key=one.key,
            of=one.text("of"),
            asks=asks,
            value=value,
            source=one.text("source"),
            grade=one.text("grade"),  # type: ignore[arg-type]
            note=one.text("note"),
            question=one.text("question"),
            reading=one.text("reading"),
            not_comparable=one.text("not_comparable"),
            place=one.node.place,
        )

    def _refuse_contradictions(self, claims: tuple[Claim, ...], spec: Spec) -> None:
        """Note claims about one subject that no number satisfies together, rates and times taken as one."""
        for later, second in enumerate(claims):
            for first in claims[:later]:
                if (
                    (first.of, first.relative_to) != (second.of, second.relative_to)
                    or first.question
                    or second.question
                ):
                    continue
                pair = _comparable(first, spec), _comparable(second, spec)
                if pair[0] is None or pair[1] is None or pair[0][0] != pair[1][0]:
                    continue
                if pair[0][1] > pair[1][2] or pair[1][1] > pair[0][2]:
                    what = f"contradicts {first.key} (line {first.place.line}): no {first.metric} satisfies both"
                    self.faults.append(Fault(second.place, second.key, what))

    # -- subjects ---------------------------------------------------------------------------------------------------

    def _subject(self, name: str, kind: str, claims: tuple[Claim, ...], spec: Spec) -> Subject | None:
        own = self._mapping("subjects")[name]
        assert isinstance(own.value, dict)
        if kind == "chips":
            return ChipSubject(name, spec.baselines[name])
        fields = own.value
        if kind == "rates":
            axes = self._axes(name, fields["rates"])
            whole = self._spec({**self._frame(fields), "space": node_of({"kv_bits": 16})}, ())
            stack = str(fields["stack"].value) if "stack" in fields else "ideal"
            if stack not in self.library.stacks:
                must_be = "a software stack of the library"
                self.faults.append(
                    Fault(
                        fields["stack"].place,
                        f"subjects.{name}.stack",
                        quoted(stack),
                        must_be,
                        suggest(stack, self.library.stacks),
                    )
                )
            overlap = str(fields["overlap"].value) if "overlap" in fields else OVERLAPS[0]
            if overlap not in OVERLAPS:
                place = fields["overlap"].place
                self.faults.append(Fault(place, f"subjects.{name}.overlap", quoted(overlap), one_of(OVERLAPS)))
            return None if whole is None else RatesSubject(name, axes, stack, overlap, whole)
        parts = {**self._frame(fields), "space": fields[kind]}
        renamed = (("space", f"subjects.{name}.{kind}"), ("search", f"subjects.{name}.search"))
        if kind == "design":
            whole = self._spec(parts, renamed)
            if whole is None:
                return None
            varied = [key for key, entry in whole.space.items() if not isinstance(entry[0], FixedSpec)]
            for key in varied:
                self.faults.append(Fault(own.place, f"subjects.{name}.design.{key}", "varies", "one value"))
            settings = {key: entry[0].value for key, entry in whole.space.items() if isinstance(entry[0], FixedSpec)}
            return DesignSubject(name, whole, settings)
        for key in ("search", "objectives"):
            if key in fields:
                parts[key] = fields[key]
        mine = [claim for claim in claims if claim.of == name and not claim.not_comparable]
        constraints = [node_of(claim.asks.model_dump(exclude_none=True)) for claim in mine]
        further = fields.get("constraints")
        if further is not None and isinstance(further.value, list):
            constraints += further.value
        parts["constraints"] = Node(constraints, own.place, own.place)
        whole = self._spec(parts, renamed)
        return None if whole is None else SpaceSubject(name, whole)

    def _frame(self, fields: Mapping[str, Node]) -> dict[str, Node]:
        """Return the parts of a subject's sweep that the file gives or that are the same for all."""
        place = self.root.place
        parts = {
            "name": self.parts["name"],
            "workloads": _optional(self.parts["workloads"]),
            **{key: node_of(value) for key, value in _SWEPT.items()},
        }
        subjects = self._mapping("subjects")
        chips = {
            name: node for name, node in subjects.items() if isinstance(node.value, dict) and "chips" in node.value
        }
        if chips:
            parts["baselines"] = Node(dict(chips), place, place)
        for key in ("technology", "economics"):
            if key in fields:
                parts[key] = fields[key]
            elif key in self.parts:
                parts[key] = self.parts[key]
        return parts

    def _axes(self, name: str, node: Node) -> dict[str, tuple[float, float, int, bool]]:
        """Return the axes of a machine known by rates alone."""
        path = f"subjects.{name}.rates"
        if not isinstance(node.value, dict):
            self.faults.append(Fault(node.place, path, quoted(node.plain()), f"a mapping with {', '.join(RATE_AXES)}"))
            return dict(RATE_AXES)
        axes = dict(RATE_AXES)
        for axis, inner in node.value.items():
            if axis not in RATE_AXES:
                self.faults.append(
                    unknown_key(axis, tuple(RATE_AXES), inner.key_place, ("subjects", name, "rates", axis))
                )
                continue
            given: Any = inner.plain()
            keys = {"low", "high", "levels"}
            numbers = isinstance(given, dict) and all(isinstance(value, int | float) for value in given.values())
            if not numbers or set(given) != keys or not 0 < given["low"] < given["high"] or given["levels"] < 2:
                must_be = "{low, high, levels} with 0 < low < high and at least 2 levels"
                self.faults.append(Fault(inner.place, f"{path}.{axis}", quoted(given), must_be))
                continue
            axes[axis] = (float(given["low"]), float(given["high"]), int(given["levels"]), RATE_AXES[axis][3])
        return axes


def _items(node: Node) -> list[Node]:
    return node.value if isinstance(node.value, list) else [node]


def _optional(node: Node) -> Node:
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


def _constraint(one: _One) -> Node:
    """Return a claim as a constraint of a sweep, every part where it stands in the file."""
    nodes, metric = one.nodes, one.nodes["metric"]
    full = f"{nodes['workload'].value}.{metric.value}" if "workload" in nodes else str(metric.value)
    side = {"least": "min", "most": "max"}.get(one.text("at"), "near")
    parts = {"metric": replace(metric, value=full), side: nodes["value"]}
    parts |= {key: nodes[key] for key in ("within", "relative_to") if key in nodes}
    return Node(parts, one.node.place, one.node.place)


def _comparable(claim: Claim, spec: Spec) -> tuple[str, float, float] | None:
    """Return (what it is about, low, high), rates of a workload turned into the time that they mean."""
    workload, _, metric = claim.metric.rpartition(".")
    low, high = claim.interval
    if claim.relative_to is None and metric in ("tokens_per_s", "tokens_per_s_end_to_end"):
        entry = spec.workloads[workload]
        tokens = entry.batch * 1e3 if metric == "tokens_per_s" else entry.batch * entry.output_tokens
        other = "ms_per_token" if metric == "tokens_per_s" else "request_s"
        ends = [tokens / end if end not in (0.0, float("-inf")) else float("inf") for end in (high, low)]
        return f"{workload}.{other}", ends[0], ends[1]
    return claim.metric, low, high

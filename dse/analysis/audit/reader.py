"""A claims file to records; every issue with its place.

    name: my_case
    workloads:
      chat: {model: llama2_70b, batch: 32}
    subjects:
      gpus: {chips: 2x a100_80gb_sxm}
      preset: {design: {memory: lpddr5x_9600, memory_devices: 16}}
      secret: {space: {memory: {values: [lpddr5x_9600, hbm3]}}, search: {sampler: grid}}
      rates: {rates: {weight_bits: {low: 2, high: 4, levels: 9}}, serving_stack: ideal}
    claims:
      - {of: secret, workload: chat, metric: tokens_per_s, value: 857, within: 1 %, source: "a slide", grade: low}

``of``, ``workload``, ``metric`` and ``relative_to`` may be lists: one claim for every combination. ``at: least`` and
``at: most`` make a value a bound. Spaces, designs, workloads and chips are read by the reader of sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dse.analysis.audit.keys import KeyReader, Written
from dse.analysis.audit.records import Claim, ClaimsFile
from dse.analysis.audit.subjects import SubjectReader
from dse.analysis.audit.tree import SECTIONS, SUBJECT_KEYS, SWEPT, optional
from dse.errors import SpecError
from dse.sweep import ConstraintSpec, Spec
from dse.sweep.issues import unknown_key
from dse.yaml_positions import Node, node_of, parse_yaml, read_text

_STAND_IN = "1x a100_80gb_sxm"


def load_claims(path: Path) -> ClaimsFile:
    """Return the claims of a file.

    Raises:
        SpecError: every issue of the file.
    """
    return read_claims(parse_yaml(read_text(path), str(path)))


def read_claims(root: Node) -> ClaimsFile:
    """Return the claims that a tree describes.

    Raises:
        SpecError: every issue of the tree.
    """
    return _Reader(root).read()


class _Reader(KeyReader, SubjectReader):
    """Reads one tree, collecting issues."""

    def read(self) -> ClaimsFile:
        for key, node in self.parts.items():
            if key not in SECTIONS:
                self.issues.append(unknown_key(key, SECTIONS, node.key_place, (key,)))
        for key in ("name", "workloads", "subjects", "claims"):
            if key not in self.parts:
                self.fault(self.root.place, key, "is missing")
        kinds = self.kinds()
        ones = list(self.claims(kinds))
        checked = self._checked(kinds, ones)
        if self.issues or checked is None:
            raise SpecError(self.issues)
        spec, constraints = checked
        claims = tuple(self._claim(one, asks) for one, asks in zip(ones, constraints, strict=True))
        self._refuse_contradictions(claims, spec)
        subjects = {name: self.subject(name, kind, claims, spec) for name, kind in kinds.items()}
        if self.issues:
            raise SpecError(self.issues)
        return ClaimsFile(
            name=str(self.parts["name"].value),
            workloads=spec.workloads,
            subjects={name: subject for name, subject in subjects.items() if subject is not None},
            claims=claims,
            spec=spec,
        )

    def _checked(self, kinds: Mapping[str, str], ones: list[Written]) -> tuple[Spec, list[ConstraintSpec]] | None:
        """Return the workloads and chips as a sweep, and every claim as a constraint; None where they are at fault."""
        place = self.root.place
        baselines: dict[str, Node] = {}
        subjects = self.mapping("subjects")
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
            "workloads": optional(self.parts.get("workloads", Node({}, place, place))),
            "baselines": Node(baselines, place, place),
            "space": node_of({"kv_bits": 16}),
            **{key: node_of(value) for key, value in SWEPT.items()},
        }
        constraints: list[ConstraintSpec] = []
        spec = self.spec(parts, (("baselines.", "subjects."),))
        for one in ones:
            with_claim = {**parts, "constraints": Node([_constraint(one)], one.node.place, one.node.place)}
            checked = (
                spec if spec is None else self.spec(with_claim, ((r"constraints\[0\]", f"claims[{one.position}]"),))
            )
            if checked is not None:
                constraints.append(checked.constraints[0])
        return None if spec is None or len(constraints) < len(ones) else (spec, constraints)

    def _claim(self, one: Written, asks: ConstraintSpec) -> Claim:
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
                    self.fault(second.place, second.key, what)


def _constraint(one: Written) -> Node:
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
        if isinstance(entry.batch, str):
            return claim.metric, low, high
        tokens = entry.batch * 1e3 if metric == "tokens_per_s" else entry.batch * entry.output_tokens
        other = "tpot_ms" if metric == "tokens_per_s" else "request_s"
        ends = [tokens / end if end not in (0.0, float("-inf")) else float("inf") for end in (high, low)]
        return f"{workload}.{other}", ends[0], ends[1]
    return claim.metric, low, high

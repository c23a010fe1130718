"""The subjects of a claims file: chips, one design, a space, or a machine known by rates alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dse.analysis.audit.records import ChipSubject, Claim, DesignSubject, RatesSubject, SpaceSubject, Subject
from dse.analysis.audit.tree import SWEPT, Tree, optional
from dse.sweep import FixedSpec, Spec
from dse.sweep.hints import one_of, quoted
from dse.sweep.issues import unknown_key
from dse.yaml_positions import Node, node_of

OVERLAPS = ("step", "operators")
RATE_AXES: Mapping[str, tuple[float, float, int, bool]] = {
    "weight_bits": (1.5, 16.0, 30, False),
    "kv_bits": (2.0, 16.0, 29, False),
    "tflops": (50.0, 2000.0, 13, True),
}
"""Axes of a machine known by rates alone, with what they span where the file is silent."""


class SubjectReader(Tree):
    """Reads subjects, noting what is wrong with them."""

    def subject(self, name: str, kind: str, claims: tuple[Claim, ...], spec: Spec) -> Subject | None:
        """Return one subject; None where it is at fault. What a space must meet are its claims."""
        own = self.mapping("subjects")[name]
        assert isinstance(own.value, dict)
        if kind == "chips":
            return ChipSubject(name, spec.baselines[name])
        fields = own.value
        if kind == "rates":
            axes = self._axes(name, fields["rates"])
            whole = self.spec({**self._frame(fields), "space": node_of({"kv_bits": 16})}, ())
            stack = str(fields["serving_stack"].value) if "serving_stack" in fields else "ideal"
            if stack not in self.library.stacks:
                path, must_be = f"subjects.{name}.serving_stack", "a software stack of the library"
                self.unknown(fields["serving_stack"], path, must_be, self.library.stacks)
            overlap = str(fields["overlap"].value) if "overlap" in fields else OVERLAPS[0]
            if overlap not in OVERLAPS:
                self.fault(fields["overlap"].place, f"subjects.{name}.overlap", quoted(overlap), one_of(OVERLAPS))
            return None if whole is None else RatesSubject(name, axes, stack, overlap, whole)
        parts = {**self._frame(fields), "space": fields[kind]}
        renamed = (("space", f"subjects.{name}.{kind}"), ("search", f"subjects.{name}.search"))
        if kind == "design":
            whole = self.spec(parts, renamed)
            if whole is None:
                return None
            varied = [key for key, entry in whole.space.items() if not isinstance(entry[0], FixedSpec)]
            for key in varied:
                self.fault(own.place, f"subjects.{name}.design.{key}", "varies", "one value")
            settings = {key: entry[0].value for key, entry in whole.space.items() if isinstance(entry[0], FixedSpec)}
            return DesignSubject(name, whole, settings)
        parts |= {key: fields[key] for key in ("search", "objectives") if key in fields}
        mine = [claim for claim in claims if claim.of == name and not claim.not_comparable]
        constraints = [node_of(claim.asks.model_dump(exclude_none=True)) for claim in mine]
        further = fields.get("constraints")
        if further is not None and isinstance(further.value, list):
            constraints += further.value
        parts["constraints"] = Node(constraints, own.place, own.place)
        whole = self.spec(parts, renamed)
        return None if whole is None else SpaceSubject(name, whole)

    def _frame(self, fields: Mapping[str, Node]) -> dict[str, Node]:
        """Return the parts of a subject's sweep that the file gives or that are the same for all."""
        place = self.root.place
        parts = {
            "name": self.parts["name"],
            "workloads": optional(self.parts["workloads"]),
            **{key: node_of(value) for key, value in SWEPT.items()},
        }
        subjects = self.mapping("subjects")
        chips = {
            name: node for name, node in subjects.items() if isinstance(node.value, dict) and "chips" in node.value
        }
        if chips:
            parts["baselines"] = Node(dict(chips), place, place)
        shared = {key: self.parts[key] for key in ("technology", "economics") if key in self.parts}
        return {**parts, **shared, **{key: fields[key] for key in ("technology", "economics") if key in fields}}

    def _axes(self, name: str, node: Node) -> dict[str, tuple[float, float, int, bool]]:
        """Return the axes of a machine known by rates alone."""
        path = f"subjects.{name}.rates"
        if not isinstance(node.value, dict):
            self.fault(node.place, path, quoted(node.plain()), f"a mapping with {', '.join(RATE_AXES)}")
            return dict(RATE_AXES)
        axes = dict(RATE_AXES)
        for axis, inner in node.value.items():
            if axis not in RATE_AXES:
                where = ("subjects", name, "rates", axis)
                self.issues.append(unknown_key(axis, tuple(RATE_AXES), inner.key_place, where))
                continue
            given: Any = inner.plain()
            keys = {"low", "high", "levels"}
            numbers = isinstance(given, dict) and all(isinstance(value, int | float) for value in given.values())
            if not numbers or set(given) != keys or not 0 < given["low"] < given["high"] or given["levels"] < 2:
                must_be = "{low, high, levels} with 0 < low < high and at least 2 levels"
                self.fault(inner.place, f"{path}.{axis}", quoted(given), must_be)
                continue
            axes[axis] = (float(given["low"]), float(given["high"]), int(given["levels"]), RATE_AXES[axis][3])
        return axes

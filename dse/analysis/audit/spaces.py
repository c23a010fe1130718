"""Claims about a design that nobody knows: every design of a space that satisfies them all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dse.analysis.audit.consistent import InformationGain, ValueRange, extents_of, plain_row, settling_facts
from dse.analysis.audit.records import SpaceSubject
from dse.analysis.relaxation.constraints import RelaxationReport, explain_infeasible
from dse.results.rows import MARGIN_PREFIX
from dse.runs import explore
from dse.space import Space
from dse.sweep import Spec

METRICS = (
    "bandwidth_gbps", "stored_bits", "peak_tflops", "capacity_gib", "tdp_w", "die_mm2", "edge_fraction", "cost_usd",
)  # fmt: skip
"""What is told of a consistent set beside its parameters."""

LIMITS = ("reticle_mm2", "die_edge_mm", "heat_w_per_mm2")
"""Limits whose margins say how strained a design is."""

SHOWN = 5
"""Most plausible designs that are kept."""


@dataclass(frozen=True)
class JointSet:
    """The designs that satisfy every claim about one subject.

    Attributes:
        subject: the subject.
        searched: designs looked at.
        found: those that satisfy all claims and limits.
        extents: values that parameters and metrics take in the set.
        plausible: the least strained designs: those that leave most to spare on reticle, die edge and heat, one per
            memory grade and weight format.
        settling: what knowing one quantity would leave open of the others, the most telling first.
        why_none: why the set is empty; None where it is not.
        table: the set, a row per design.
    """

    subject: str
    searched: int
    found: int
    extents: tuple[ValueRange, ...]
    plausible: tuple[Mapping[str, Any], ...]
    settling: tuple[InformationGain, ...]
    why_none: RelaxationReport | None
    table: pd.DataFrame


def joint_set(subject: SpaceSubject, *, explain: bool = True) -> JointSet:
    """Search the space of a subject for the designs that satisfy every claim about it.

    Args:
        subject: the subject with its claims as constraints.
        explain: whether an empty set is explained.
    """
    spec = subject.spec
    outcome = explore(spec)
    table = outcome.sample.frame().copy() if outcome.sample is not None else pd.DataFrame()  # columns are added to it
    consistent = table[table["feasible"].astype(bool)].reset_index(drop=True) if len(table) else table
    if not len(consistent):
        why = explain_infeasible(spec) if explain else None
        return JointSet(subject.name, outcome.evaluated, 0, (), (), (), why, consistent)
    free = list(Space(spec).dimensions)
    named = [*free, *METRICS, *claimed_beside(spec)]
    return JointSet(
        subject=subject.name,
        searched=outcome.evaluated,
        found=outcome.feasible,
        extents=tuple(extents_of(consistent, named)),
        plausible=tuple(_least_strained(consistent, named)),
        settling=tuple(settling_facts(consistent, [*free, *METRICS], [*free, *METRICS])),
        why_none=None,
        table=consistent[[*dict.fromkeys(["id", *named])]],
    )


def claimed_beside(spec: Spec) -> list[str]:
    """Return metrics of the claimed workloads that nobody stated but everybody asks for."""
    claimed = {constraint.metric.rpartition(".")[0] for constraint in spec.constraints} - {""}
    return [f"{workload}.{name}" for workload in sorted(claimed) for name in ("decode_w", "perplexity_ratio")]


def _least_strained(table: pd.DataFrame, named: list[str]) -> list[dict[str, Any]]:
    margins = [MARGIN_PREFIX + limit for limit in LIMITS if MARGIN_PREFIX + limit in table]
    spare = table[margins].min(axis=1)
    ordered = table.assign(spare=spare).sort_values(["spare", "id"], ascending=[False, True])
    groups = [name for name in ("memory", "weight_format") if name in table]
    first = ordered.groupby(groups, observed=True).head(1) if groups else ordered
    return [plain_row(row) for row in first.head(SHOWN)[["id", "spare", *named]].to_dict("records")]

"""Why nothing is feasible: the smallest relaxation of constraints, and the axes worth extension."""

from __future__ import annotations

from dse.analysis.relaxation.constraints import (
    AxisExtension,
    Relaxation,
    RelaxationReport,
    RelaxedBound,
    explain_infeasible,
    relaxed_spec,
)

__all__ = ["AxisExtension", "Relaxation", "RelaxationReport", "RelaxedBound", "explain_infeasible", "relaxed_spec"]

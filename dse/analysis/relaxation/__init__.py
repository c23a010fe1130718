"""Why nothing is feasible: the least that constraints must give, and the axes worth widening."""

from __future__ import annotations

from dse.analysis.relaxation.constraints import (
    Explanation,
    Given,
    Relaxation,
    Widening,
    explain_infeasible,
    relaxed_spec,
)

__all__ = ["Explanation", "Given", "Relaxation", "Widening", "explain_infeasible", "relaxed_spec"]

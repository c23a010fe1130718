"""Explanations of a design's time, power, area and cost: tables whose rows add up to the metrics."""

from dse.analysis.explain.columns import explained
from dse.analysis.explain.designs import explain_baseline, explain_chip, explain_designs
from dse.analysis.explain.inputs import explain_design_file, explain_library_chip, explain_run_row, load_design
from dse.analysis.explain.records import (
    BOUNDS,
    EXPOSED,
    OUTSIDE,
    Explanation,
    LimitRow,
    OperatorRow,
    PassTable,
    WorkloadTable,
)

__all__ = [
    "BOUNDS",
    "EXPOSED",
    "OUTSIDE",
    "Explanation",
    "LimitRow",
    "OperatorRow",
    "PassTable",
    "WorkloadTable",
    "explain_baseline",
    "explain_chip",
    "explain_design_file",
    "explain_designs",
    "explain_library_chip",
    "explain_run_row",
    "explained",
    "load_design",
]

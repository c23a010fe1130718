"""Inverse sizing: what targets come to, what can deliver it, and the best single change to a design."""

from __future__ import annotations

from dse.analysis.require.changes import VIOLATION, Change, best_changes
from dse.analysis.require.memory_options import MemoryOption
from dse.analysis.require.requirements import Requirement, Requirements, requirements
from dse.analysis.require.sizing import SizedDesign

__all__ = [
    "VIOLATION",
    "Change",
    "MemoryOption",
    "Requirement",
    "Requirements",
    "SizedDesign",
    "best_changes",
    "requirements",
]

"""Inverse sizing: what targets come to, what can deliver it, and the best single change to a design."""

from __future__ import annotations

from dse.require.changes import VIOLATION, Change, best_changes
from dse.require.memory import MemoryOption
from dse.require.needs import Need, Requirements, requirements
from dse.require.sizing import SizedDesign

__all__ = [
    "VIOLATION",
    "Change",
    "MemoryOption",
    "Need",
    "Requirements",
    "SizedDesign",
    "best_changes",
    "requirements",
]

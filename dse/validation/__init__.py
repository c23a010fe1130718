"""Predictions held against published measurements: every row predicted, scored by source, nothing dropped."""

from dse.validation.results import ScoreTable, Validation
from dse.validation.rows import MeasurementError, read_measurements
from dse.validation.run import run_validation, shipped

__all__ = ["MeasurementError", "ScoreTable", "Validation", "read_measurements", "run_validation", "shipped"]

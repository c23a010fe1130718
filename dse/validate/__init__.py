"""Predictions held against published measurements: every row predicted, scored by source, nothing dropped."""

from dse.validate.results import Table, Validation
from dse.validate.rows import MeasurementError, read_measurements
from dse.validate.run import run_validation, shipped

__all__ = ["MeasurementError", "Table", "Validation", "read_measurements", "run_validation", "shipped"]

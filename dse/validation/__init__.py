"""Predictions held against published measurements: every row predicted, scored by source, nothing dropped."""

"""Explanations of a design's time, power, area and cost: tables whose rows add up to the metrics."""

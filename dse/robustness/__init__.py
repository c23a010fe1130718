"""Designs under joint draws of every ranged figure: intervals, chances, and the figures that matter."""

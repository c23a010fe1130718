"""Designs under Monte Carlo samples of the ranged parameters: intervals, probabilities, and what matters most."""

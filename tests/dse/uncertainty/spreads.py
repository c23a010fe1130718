"""Made spreads of a parameter."""

from dse.uncertainty.monte_carlo import Distribution


def spread(path, low=0.0, typ=0.5, high=1.0, *, log=False, factor=None, tied=0.0, sure="high"):
    return Distribution(path, low, typ, high, log, factor, tied, sure, "")

"""A workload on a `Machine`: roofline and phases, interconnect, serving stack, energy, operating point, metrics."""

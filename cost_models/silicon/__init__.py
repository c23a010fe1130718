"""A design, or a chip of the library, to a `Machine`: compute, memory, area, die edge, power, cost and carbon."""

"""Why nothing is feasible: the smallest relaxation of constraints, and the axes worth extension."""

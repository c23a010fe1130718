"""What is counted over all designs of a run: blocking constraints, feasible values per parameter, margins."""

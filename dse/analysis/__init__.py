"""Questions about designs and runs: compare, diff, explain, require, relax, check claims, fleets, export."""

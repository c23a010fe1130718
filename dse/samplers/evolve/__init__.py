"""Evolutionary search: the sampler, its operators on arrays, and the algorithms of pymoo."""

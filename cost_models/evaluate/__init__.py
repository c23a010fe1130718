"""The one composition: a table of designs, or chips of the library, and a workload become a `WorkloadResult`.

Machine, number formats, software stack and what is served are put together here and nowhere else, so that sweeps,
baselines, explanations and validation compute the same numbers. Nothing here judges a result.
"""

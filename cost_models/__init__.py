"""Pure, vectorised physics of LLM-inference chips: workload, silicon, time, power, area, price, quality.

Every model here is a function of arrays with one row per design. Nothing in this package
reads a sweep, prints, draws random numbers or keeps state.
"""

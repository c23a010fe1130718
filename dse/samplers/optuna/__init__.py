"""Optuna: its samplers by ask and tell, studies outside of this process, and runs written as studies."""

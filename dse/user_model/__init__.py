"""User-defined models: a Python function or a command that a sweep names, asked row by row or in batches.

`server` runs a function in a process of its own, `calls` asks it or a command with time limit and repeats, `answers`
checks what comes back, `memory` keeps it on disk, and `user_model` makes columns of it.
"""

"""What tests of commands share: names that stand for something else, and what a command printed."""

import pytest

from dse.cli import audit, calibrate, check, choose, compare, compress, library, require, robust, validate


@pytest.fixture
def put(monkeypatch):
    """Let a name stand for something else."""

    def put(**values):
        for name, value in values.items():
            monkeypatch.setattr(name.replace("__", "."), value)

    return put


@pytest.fixture
def emitted(monkeypatch):
    """What was printed, in every form."""
    found = {}

    def emit(output, parts, data, rows=None):
        made = {"parts": parts, "data": data, "rows": rows or (lambda: None)}
        found.update({name: (lambda make=make: make()) for name, make in made.items()}, output=output)

    for module in (audit, calibrate, check, choose, compare, compress, library, require, robust, validate):
        monkeypatch.setattr(module, "emit", emit)
    return found

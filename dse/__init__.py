"""Design-space exploration of LLM-inference chips: one YAML file in, the chips that meet the targets out.

In Python:

    from dse import load
    found = load("sweeps/quickstart.yaml").run()
    found.front                                     # a pandas frame

`load`, `run` and `open_run` give a `Sweep` or a `Run`; `DerivedMetric` is a metric of your own; the rest are the
errors. What is named here is stable; everything else may change between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cost_models.errors import LibraryError as LibraryError
    from cost_models.library import shipped_library as shipped_library
    from cost_models.performance.derived import DerivedMetric as DerivedMetric
    from dse.api import Run as Run
    from dse.api import Sweep as Sweep
    from dse.api import load as load
    from dse.api import open_run as open_run
    from dse.api import run as run
    from dse.errors import DseError as DseError
    from dse.errors import RunError as RunError
    from dse.errors import SpecError as SpecError

_HOMES = {
    "DerivedMetric": "cost_models.performance.derived",
    "DseError": "dse.errors",
    "LibraryError": "cost_models.errors",
    "Run": "dse.api",
    "RunError": "dse.errors",
    "SpecError": "dse.errors",
    "Sweep": "dse.api",
    "load": "dse.api",
    "shipped_library": "cost_models.library",
    "open_run": "dse.api",
    "run": "dse.api",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the command line starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

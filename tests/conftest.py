"""What tests share: examples that do not change, a sweep, the command line, a judge; and needs that are not met."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from cost_models.table import Choice, Designs, Table
from dse.samplers.base import Feedback
from tests.cli import Called, call
from tests.sweeps import small

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("fixed")


@pytest.fixture
def sweep() -> dict[str, Any]:
    """A mapping that `parse_spec` accepts, free to be changed."""
    return small()


@pytest.fixture(name="call")
def call_fixture() -> Callable[..., Called]:
    """The command line: a function of its arguments that returns exit status, output and errors."""
    return call


@pytest.fixture
def quiet_optuna() -> Iterator[None]:
    """Optuna without what it says of every trial."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


def judge(designs: Designs, start: int = 0) -> Feedback:
    """Two conflicting objectives and one limit, none of it physics: time falls and cost grows with everything."""
    rows = Table(designs).rows
    node = designs["node"]
    assert isinstance(node, Choice)
    factor = node.gather([1.0, 0.8, 0.9][: len(node.values)])
    devices, macs, clock = (np.asarray(designs[name]) for name in ("memory_devices", "macs", "clock_ghz"))
    gib = np.asarray(designs["memory_device_gib"])
    seconds = 40 / devices + 2e5 / (macs * clock) / 4
    cost = factor * macs * clock**2 / 1000 + 3 * devices + devices * gib / 20
    violations = np.maximum(0.0, cost / 80 - 1)[:, None]
    objectives = np.stack([seconds, cost], axis=1)
    return Feedback(np.arange(start, start + rows), objectives, violations, violations[:, 0] == 0)


@pytest.fixture(name="judge")
def judge_fixture() -> Callable[..., Feedback]:
    """The made-up judge."""
    return judge


# -- tests that need what not every machine has -------------------------------------------------------------------

REQUIRED = {"browser": "DSE_BROWSER_TESTS", "torch": "DSE_TORCH_TESTS", "postgresql": "DSE_POSTGRES_TESTS"}
"""Environment variables that make what is missing a failure instead of a remark, by mark."""

SUBJECTS = {
    "browser": "of the report in a browser",
    "torch": "of the GPU benchmark and the sampler gp",
    "postgresql": "of studies in PostgreSQL",
}
ADVICE = {
    "browser": "On Debian and Ubuntu: apt-get install chromium chromium-driver",
    "torch": "make test-torch installs it and runs them; elsewhere: pip install torch, a build for CPUs is enough",
    "postgresql": "On Debian and Ubuntu: apt-get install postgresql; then pip install 'psycopg[binary]'",
}


def missing_for_browser() -> str:
    """Return what tests in a browser lack, "" where nothing does."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    lacking += ["selenium (Python package)"] if importlib.util.find_spec("selenium") is None else []
    return ", ".join(lacking)


def missing_for_torch() -> str:
    """Return what tests of the GPU benchmark lack, "" where nothing does."""
    return "PyTorch (Python package)" if importlib.util.find_spec("torch") is None else ""


def missing_for_postgresql() -> str:
    """Return what tests with a PostgreSQL of their own lack, "" where nothing does."""
    here = shutil.which("initdb") or [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    lacking = [] if here else ["initdb"]
    lacking += ["psycopg (Python package)"] if importlib.util.find_spec("psycopg") is None else []
    return ", ".join(lacking)


MISSING = {"browser": missing_for_browser, "torch": missing_for_torch, "postgresql": missing_for_postgresql}


def pytest_configure(config: pytest.Config) -> None:
    """Let tests name files from the root, wherever they are started; look for no garbage while they are read."""
    os.chdir(config.rootpath)
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again: it took a third of the time in which tests are read."""
    gc.enable()


LONGEST = (
    "tests/project/test_docs.py", "tests/project/test_trust.py", "tests/dse/test_kills.py",
    "tests/dse/results/test_damage.py", "tests/cost_models/test_composition.py", "tests/dse/cli/test_cli.py",
    "tests/dse/cli/test_commands.py", "tests/project/test_benchmarks.py", "tests/dse/user_model/test_user_model.py",
    "tests/dse/samplers/test_optuna_studies.py", "tests/dse/render/test_plots.py", "tests/snapshot/test_words.py",
    "tests/snapshot/test_pictures.py", "tests/dse/search/test_search.py", "tests/dse/search/test_grid_pruning.py",
    "tests/dse/search/test_dask.py", "tests/dse/results/test_forged.py", "tests/dse/test_corners.py",
)  # fmt: skip
"""Files that no process should be left with at the end, when the others have nothing more to do."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose needs are not met, and remember to say so; put the longest files first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(config.rootpath).as_posix(), len(places)))
    for mark, missing in MISSING.items():
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked and missing() and not os.environ.get(REQUIRED[mark]):
            config.hook.pytest_deselected(items=marked)
            items[:] = [item for item in items if item not in marked]
            config.stash.setdefault(LEFT_OUT, {})[mark] = len(marked)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests did not run, and what they need."""
    if left_out := config.stash.get(LEFT_OUT, {}):
        terminalreporter.section("not run")
        for mark, count in left_out.items():
            terminalreporter.line(f"{count} tests {SUBJECTS[mark]}: no {MISSING[mark]()}.")
            terminalreporter.line(ADVICE[mark])


LEFT_OUT = pytest.StashKey[dict[str, int]]()

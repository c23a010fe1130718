"""The house: imports only go down, and a heavy library lives in one room."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Rooms from the ground up; a room may import rooms of lower floors and of its own.
FLOORS = (
    ("cost_models.table", "cost_models.errors"),
    ("cost_models.codes",),
    ("cost_models",),
    ("dse.errors", "dse.units", "dse.tensors", "dse.yaml_positions"),
    ("dse.spec",),
    ("dse.space",),
    ("dse.modelling",),
    ("dse.margins", "dse.evaluate"),
    ("dse.samplers", "dse.front"),
    ("dse.results",),
    ("dse.robustness",),
    ("dse.search",),
    ("dse.loop",),
    (
        "dse.compare",
        "dse.differences",
        "dse.export",
        "dse.explain",
        "dse.validate",
        "dse.fleet",
        "dse.require",
        "dse.relaxation",
        "dse.audit",
    ),
    ("dse.terminal",),
    ("dse.plots", "dse.report"),
    ("dse.verbs", "dse.api"),
    ("dse.studies",),
    ("dse.cli",),
)

ONE_ROOM = {
    "moocore": ("dse/front.py",),
    "pymoo": ("dse/samplers/evolve",),
    "optuna": ("dse/samplers/optuna",),
    "matplotlib": ("dse/plots",),
    "plotly": ("dse/report",),
    "pint": ("dse/units.py",),
    "yaml": (
        "cost_models/library/files.py",
        "cost_models/library/plain_yaml.py",
        "dse/yaml_positions.py",
        "dse/results/yaml_text.py",
    ),
}


def modules():
    for package in ("cost_models", "dse"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT)


def imported(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(module):
    """Return the height of the innermost room that the module stands in."""
    found = [
        (len(room), height)
        for height, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith((f"{room}.", f"{room}_"))
    ]
    return max(found)[1] if found else None


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_imports_only_go_down(path):
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    if module == "dse":
        return
    here = floor(module)
    assert here is not None, f"{module} stands on no floor: give it one in FLOORS"
    upward = [name for name in imported(path) if (there := floor(name)) is not None and there > here]
    assert not upward


@pytest.mark.parametrize("path", list(modules()), ids=str)
def test_a_heavy_library_lives_in_one_room(path):
    for name in imported(path):
        rooms = ONE_ROOM.get(name.split(".")[0])
        assert rooms is None or str(path).startswith(rooms), f"{path} imports {name}"

"""The house: imports only go down, and a heavy library lives in one room."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Rooms from the ground up; a room may import rooms of lower floors and of its own.
FLOORS = (
    ("cost_models.table", "cost_models.tape", "cost_models.errors", "cost_models.units", "cost_models.quantities"),
    ("cost_models.library",),
    ("cost_models.workload",),
    ("cost_models.weights",),
    ("cost_models.silicon",),
    ("cost_models.performance",),
    ("cost_models.evaluate", "cost_models"),
    ("dse.errors", "dse.number_texts", "dse.packing", "dse.plain", "dse.sheets"),
    ("dse.time_intervals", "dse.units", "dse.yaml_positions", "dse.parallelism"),
    ("dse.weight_codes", "dse.validation"),
    ("dse.sweep",),
    ("dse.space",),
    ("dse.user_model",),
    ("dse.violation", "dse.margins", "dse.level_tables", "dse.replay", "dse.evaluator"),
    ("dse.front",),
    ("dse.samplers",),
    ("dse.results",),
    ("dse.uncertainty",),
    ("dse.search",),
    ("dse.runs",),
    ("dse.analysis",),
    ("dse.render.terminal",),
    ("dse.render.plots",),
    ("dse.render.report", "dse.render"),
    ("dse.render.explore",),
    ("dse.api",),
    ("dse.cli", "dse.__main__"),
)

ONE_ROOM = {
    "moocore": ("dse/front.py",),
    "pymoo": ("dse/samplers/evolve/",),
    "optuna": ("dse/samplers/optuna/",),
    "matplotlib": ("dse/render/plots/",),
    "plotly": ("dse/render/report/",),
    "pint": ("dse/units.py",),
    "yaml": ("cost_models/library/", "dse/yaml_positions.py", "dse/results/yaml_text.py"),
}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def modules():
    """The path, the dotted name and the imports of every module."""
    files = [
        file.relative_to(ROOT) for package in ("cost_models", "dse") for file in sorted((ROOT / package).rglob("*.py"))
    ]
    return [
        (path.as_posix(), ".".join(path.with_suffix("").parts).removesuffix(".__init__"),
         list(imported(ast.parse((ROOT / path).read_text()))))
        for path in files
    ]  # fmt: skip


def floor(module):
    """Return the height of the innermost room that the module stands in."""
    result = [
        (len(room), height)
        for height, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith((f"{room}.", f"{room}_"))
    ]
    return max(result)[1] if result else None


def test_imports_only_go_down(modules):
    upward = {}
    for path, module, names in modules:
        if module == "dse":
            continue
        here = floor(module)
        assert here is not None, f"{module} stands on no floor: give it one in FLOORS"
        if above := [name for name in names if (there := floor(name)) is not None and there > here]:
            upward[path] = above
    assert not upward


def test_a_heavy_library_lives_in_one_room(modules):
    elsewhere = [
        f"{path} imports {name}"
        for path, _, names in modules
        for name in names
        if not path.startswith(ONE_ROOM.get(name.split(".")[0], ""))
    ]
    assert not elsewhere


def test_every_room_has_somebody_in_it(modules):
    rooms = [room for rooms in FLOORS for room in rooms]
    here = [module for _, module, _ in modules]
    assert not [room for room in rooms if not any(module.startswith(room) for module in here)]
    used = {name.split(".")[0] for _, _, names in modules for name in names}
    assert set(ONE_ROOM) <= used


def test_the_map_in_contributing_names_places_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| I want to change | go to |")[2].partition("\n\n")[0]
    places = re.findall(r"`([\w./]+)`", table)
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []

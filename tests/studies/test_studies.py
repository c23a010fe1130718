import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from cost_models.library import shipped_library
from dse.evaluator import Evaluator
from dse.runs import explore
from dse.space import Space
from dse.sweep import load_spec
from studies import STUDIES, Context, founding_front
from studies.build import NUMBERS, numbers_of

ROOT = Path(__file__).parents[2]
RESULTS, SWEEPS = ROOT / "results", ROOT / "sweeps"
FAST = ("h200_eight", "pruning", "equal_blocks", "weight_only", "fpga_proof")
"""Studies whose sections are rebuilt here; `make studies` rebuilds all."""

QUICK_SWEEPS = ("traffic_mix", "long_context", "edge_8b")


def study(key):
    return next(one for one in STUDIES if one.key == key)


def committed(key):
    return json.loads((RESULTS / key / NUMBERS).read_text())


@pytest.mark.parametrize("key", [one.key for one in STUDIES])
def test_every_study_lies_in_its_folder(key):
    folder = RESULTS / key
    text = (folder / "page.md").read_text()
    assert text.startswith(f"# {study(key).title}")
    assert (folder / "sweep.yaml").read_bytes() == (SWEEPS / f"{key}.yaml").read_bytes()
    assert (folder / "front.csv").stat().st_size > 0
    for path in folder.glob("*.png"):
        assert path.name in text
        assert path.stat().st_size < 120_000
    assert key in (RESULTS / "README.md").read_text()


@pytest.mark.parametrize("key", FAST)
def test_committed_numbers_are_those_that_the_code_gives(key):
    result = numbers_of(study(key).sections(Context(load_spec(SWEEPS / f"{key}.yaml"))))
    kept = committed(key)
    assert result
    for name, value in result.items():
        assert math.isclose(kept[name], value, rel_tol=1e-4), f"{name}: {kept[name]} committed, {value} computed"


@pytest.mark.parametrize("key", QUICK_SWEEPS)
def test_committed_counts_are_those_of_the_sweep(key):
    outcome = explore(load_spec(SWEEPS / f"{key}.yaml"))
    kept = committed(key)
    assert kept["sweep evaluated"] == outcome.evaluated
    assert kept["sweep feasible"] == outcome.feasible
    assert kept["sweep front"] == len(outcome.front)


def test_the_study_of_compression_says_what_the_code_gives():
    """Its page is written by `studies/weight_formats.py`; the part on lanes is worked out again here."""
    folder = RESULTS / "compression"
    text = (folder / "page.md").read_text()
    for copy, sweep in (("sweep.yaml", "compression.yaml"), ("lanes.yaml", "lanes.yaml")):
        assert (folder / copy).read_bytes() == (SWEEPS / sweep).read_bytes()
    for path in folder.glob("*.png"):
        assert path.name in text
    spec = importlib.util.spec_from_file_location("lanes", ROOT / "studies" / "lanes.py")
    lanes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lanes)
    for row in lanes.by_macs(lanes.evaluated()):
        assert "| " + " | ".join(row) + " |" in text


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_is_valid_and_its_designs_have_all_metrics(path):
    spec = load_spec(path)
    assert spec.objectives
    space = Space(spec)
    designs = space.decode(np.random.default_rng(0).random((24, len(space.dimensions))))
    assert set(Evaluator(spec).evaluate(designs).metrics) >= {one.metric for one in spec.objectives}


def test_what_the_founding_front_undoes_is_there_and_different():
    described = yaml.safe_load((ROOT / "studies" / "founding_front.yaml").read_text(encoding="utf-8"))
    parameters = shipped_library().parameters
    for point in described["points"].values():
        for path, value in point["undone"].items():
            assert parameters[path].typ != value, path
    assert set(described["old"]["picks"]) == set(founding_front.PICKS)
    assert all(set(shown) == set(founding_front.METRICS) for shown in described["old"]["picks"].values())


def test_the_founding_front_undoes_one_point_at_a_time():
    old = {"commit": "abc", "searched": 100, "feasible": 10, "picks": {key: {} for key in founding_front.PICKS}}
    points = {"prices": {"undone": {"memory.lpddr5x.price_usd_per_gb": 0.01}}}
    table = founding_front.fronts(ROOT / "sweeps" / "mach1.yaml", {"old": old, "points": points}, 4000)
    cheapest = table[table["pick"] == "best_cost_usd"].set_index("state")["cost_usd"]
    assert list(cheapest.index) == ["old (abc)", "new", "without prices", "without all of them"]
    assert cheapest["without prices"] < cheapest["new"] - 500
    assert cheapest["without prices"] == cheapest["without all of them"]

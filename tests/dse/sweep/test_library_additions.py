"""What a sweep adds to the library: where files of models lie, and what they are called."""

from __future__ import annotations

from pathlib import Path

from dse.errors import Place
from dse.sweep import library_additions
from dse.sweep.library_additions import model_stem
from dse.yaml_positions import parse_yaml


def test_a_file_of_a_model_is_called_after_itself_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "Qwen3-8B").mkdir()
    assert model_stem(tmp_path / "Qwen3-8B" / "config.json") == "Qwen3-8B" and model_stem(tmp_path / "a.gguf") == "a"
    assert library_additions._beside(Place("x/y.yaml", 3), "m.json") == Path("x/m.json")
    assert library_additions._beside(Place("--set a=b"), "m.json") == Path("m.json")


def test_what_is_added_stands_at_the_innermost_place_that_is_there() -> None:
    node = parse_yaml("chips:\n  mine:\n    year: 1\n", "f")
    places = {
        keys: library_additions._place_in(node, keys)
        for keys in ((), ("chips",), ("chips", "mine", "year"), ("chips", "x", "y"), ("z",))
    }
    assert list(places.values()) == ["f:1:1", "f:2:3", "f:3:11", "f:2:3", "f:1:1"]

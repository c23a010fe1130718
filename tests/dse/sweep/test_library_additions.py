"""What a sweep adds to the library: where files of models lie, and what they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cost_models.errors import LibraryError
from cost_models.library import shipped_library
from dse.errors import Place, SpecError
from dse.sweep import library_additions
from dse.sweep.library_additions import library_of, library_with, model_stem, sections_at, with_additions
from dse.yaml_positions import node_of, parse_yaml


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


CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False,
}  # fmt: skip


def entries(folder: Path, name: str, year: int) -> Path:
    """A directory that gives the chip L4 another year."""
    (folder / name).mkdir()
    (folder / name / "chips.yaml").write_text(f"chips:\n  l4: {{year: {year}}}\n")
    return folder / name


def test_additions_are_laid_over_one_another_in_their_order(tmp_path: Path) -> None:
    one, two = entries(tmp_path, "one", 2001), entries(tmp_path, "two", 2002)
    ours: dict[str, object] = {"chips": {"l4": {"year": 2003}}}
    for named, more, year in (
        (str(one), [], 2001), ([str(one), str(two)], [], 2002), ([str(two), str(one)], [], 2001),
        ([str(one), ours], [], 2003), (ours, [two], 2002), (None, [one], 2001),
    ):  # fmt: skip
        sweep = {"name": "x"} | ({} if named is None else {"library": named})
        tree, library, added = with_additions(node_of(sweep), more)
        assert tree.plain() == {"name": "x"} and library.chips["l4"].year == year, named
        assert added == {"chips": {"l4": {"year": year}}} and library_of(added).chips["l4"].year == year
    assert with_additions(node_of({"name": "x"}))[1:] == (shipped_library(), {}) and library_of({}) is shipped_library()
    tree, library, added = with_additions(node_of([1]))
    assert (tree.plain(), library, added) == ([1], shipped_library(), {})
    assert library_with([one, two]).chips["l4"].year == 2002 and library_with([]) is shipped_library()


def test_a_sweep_file_may_be_named_for_what_it_adds(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("library: {chips: {l4: {year: 2004}}}\n")
    assert sections_at(file).data == {"chips": {"l4": {"year": 2004}}}
    assert library_with([file]).chips["l4"].year == 2004


def test_what_adds_nothing_is_refused(tmp_path: Path) -> None:
    must_be, none = "library: {} is not a directory{}", str(tmp_path / "none")
    for named, says in (
        (none, f"library: '{none[:50]}"),
        ([3], must_be.format("3", ", or sections with entries")), (True, must_be.format("true", ", or sections")),
    ):  # fmt: skip
        with pytest.raises(SpecError) as caught:
            with_additions(node_of({"library": named}))
        assert says in str(caught.value)
    with pytest.raises(LibraryError):
        with_additions(node_of({"library": {"chips": {"l4": {"yeer": 2004}}}}))
    (tmp_path / "chips.yaml").write_text("chips:\n  l4:\n    1: 2\n    year: 2004\n")
    with pytest.raises(LibraryError, match=r"chips\.yaml:3.*chips\.l4\.1"):
        with_additions(node_of({"library": str(tmp_path)}))


def test_files_of_models_become_entries_with_a_name(tmp_path: Path) -> None:
    for folder in ("My-Model 1.5B", "llama3_8b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "other.json").write_text(json.dumps(CONFIG))
    files = {"own": "My-Model 1.5B/config.json", "like": "llama3_8b/config.json", "bare": "other.json"}
    workloads = {name: {"model": str(tmp_path / file), "batch": 2} for name, file in files.items()}
    workloads["known"] = {"model": "llama3_8b"}
    tree, library, added = with_additions(node_of({"workloads": workloads}))
    read = tree.plain()["workloads"]
    names = {"own": "my_model_1_5b", "like": "llama3_8b_file", "bare": "other", "known": "llama3_8b"}
    assert {name: one["model"] for name, one in read.items()} == names and read["own"]["batch"] == 2
    assert list(added) == ["models"] and set(added["models"]) == {"my_model_1_5b", "llama3_8b_file", "other"}
    assert library.models["other"].layers == 2 and library.models["llama3_8b"].layers == 32
    # A sweep file's own folder is where its models lie.
    (tmp_path / "sweep.yaml").write_text("library: {}\nworkloads: {a: {model: other.json}}\n")
    assert list(sections_at(tmp_path / "sweep.yaml").data["models"]) == ["other"]
    for odd in (
        {"workloads": [1]},
        {"workloads": {"a": 3}},
        {"workloads": {"a": {"model": 3}}},
        {"workloads": {"a": {}}},
    ):
        assert with_additions(node_of(odd))[2] == {}
    with pytest.raises(
        SpecError, match=r"workloads.a.model: 'none.json' is not a config.json or a .gguf file that is there"
    ):
        with_additions(node_of({"workloads": {"a": {"model": "none.json"}}}))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(SpecError, match=r"workloads.a.model"):
        with_additions(node_of({"workloads": {"a": {"model": str(tmp_path / "bad.json")}}}))

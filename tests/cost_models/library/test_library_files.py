"""The files of the library: names that are answered, data that is read as sweeps are, faults with file and line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cost_models.errors import LibraryError, UnknownEntryError
from cost_models.library import Library, extended_library, read_library, shipped_library
from cost_models.library.files import Sections, line_of, read_yaml
from cost_models.library.names import nearest, resolve, spellings
from cost_models.library.plain_yaml import plain_data
from cost_models.library.reader import MEMORY_PARAMETERS, NEAR_PARAMETERS
from dse.yaml_positions import parse_yaml

LIBRARY = shipped_library()
DATA = LIBRARY.directory / "data"
FILES = sorted([*DATA.rglob("*.yaml"), *(LIBRARY.directory / "evidence").rglob("*.yaml")])


@pytest.mark.parametrize(
    ("look_up", "wrong", "right"),
    [
        (Library.chip, "h100_smx", "h100_sxm"),
        (Library.model, "llama2_70", "llama2_70b"),
        (Library.memory, "lpddr5z", "lpddr5x"),
        (Library.memory_grade, "lpddr5x_9660", "lpddr5x_9600"),
        (Library.node, "tmsc_7", "tsmc_7"),
        (Library.mac_format, "int4xfp61", "int4xfp16"),
        (Library.weight_format, "int4g128", "int4_g128"),
        (Library.stack, "idael", "ideal"),
        (Library.parameter, "tco.peu", "tco.pue"),
        (Library.data_file, "qualty.csv", "quality.csv"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(look_up: Callable[[Library, str], object], wrong, right):
    with pytest.raises(UnknownEntryError) as caught:
        look_up(LIBRARY, wrong)
    assert right in caught.value.suggestions
    look_up(LIBRARY, right)


def test_data_files_are_on_disk():
    for name in ("quality.csv", "spmm_gpu.csv", "weight_only_speedup.csv", "open.csv"):
        assert LIBRARY.data_file(name).is_file()


def test_reading_is_cached():
    assert shipped_library() is LIBRARY


def test_evidence_is_read_when_asked_for_and_its_faults_are_told_then(tmp_path):
    shutil.copytree(DATA, tmp_path / "data")
    assert read_library(tmp_path).evidence == {}
    (tmp_path / "evidence").mkdir()
    file = tmp_path / "evidence" / "more.yaml"
    file.write_text("tco:\n  seen: {typ: 2, src: [derived], conf: low}\n  pue: {typ: 1.2, src: [derived], conf: low}\n")
    library = read_library(tmp_path)
    with pytest.raises(LibraryError, match=r"more\.yaml:3: tco\.pue: stands among what models read too"):
        _ = library.evidence
    file.write_text("tco: {seen: {typ: 2, src: [derived], conf: low}}\n")
    assert {path: one.typ for path, one in library.evidence.items()} == {"tco.seen": 2}


BREAKS = {
    "not YAML": ("chips/nvidia.yaml", "chips:\n", "chips:\n  broken: [1, 2\n", ""),
    "missing field": ("chips/nvidia.yaml", "    vendor: NVIDIA\n", "", "vendor is missing"),
    "unknown field": ("chips/nvidia.yaml", "    year: 2018\n", "    colour: red\n", "colour"),
    "wrong type": ("chips/nvidia.yaml", "    die_mm2: 815\n", "    die_mm2: large\n", "die_mm2"),
    "unknown node": ("chips/nvidia.yaml", "    node: tsmc_12\n", "    node: tsmc_21\n", "perhaps"),
    "low above typ": ("tco.yaml", "{low: 1.10, typ: 1.35", "{low: 2.10, typ: 1.35", "tco.pue"),
    "high below typ": ("tco.yaml", "typ: 1.35, high: 1.58", "typ: 1.35, high: 1.3", "tco.pue"),
    "unknown source": ("tco.yaml", "src: [uptime, unsourced]", "src: [hearsay]", "hearsay"),
    "no confidence": ("tco.yaml", "src: [uptime, unsourced], conf: low", "src: [uptime]", "tco.pue"),
    "key twice": ("tco.yaml", "tco:\n", "tco:\n  pue: {value: 1}\n", "'pue' appears twice"),
    "entry twice": ("models/opt.yaml", "  opt_13b:\n", "  llama2_7b:\n", "models.llama2_7b stands in llama.yaml too"),
    "section twice": ("tco.yaml", "tco:\n", "carbon: 3\ntco:\n", "carbon stands in carbon.yaml too"),
    "half a model": ("models/llama.yaml", "    d_model: 4096\n", "", "needs d_model"),
    "grade of nothing": ("memory_grades.yaml", "{technology: hbm4,", "{technology: hbm9,", "hbm9"),
    "no area": ("memory.yaml", "    phy_controller_mm2:", "    phy:", "phy_controller_mm2 is missing"),
    "bounds of nothing": ("bounds.yaml", "  tco.utilisation:", "  tco.utilization:", "no number of the library"),
    "no interval": ("bounds.yaml", 'tco.utilisation: "(0, 1]"', "tco.utilisation: 1", "interval"),
    "below its bounds": ("tco.yaml", "{low: 0.3, typ: 0.6", "{low: -0.3, typ: 0.6", "low must be above 0"),
    "sparse but dense": ("weight_formats.yaml", "    pruning: sparsegpt\n", "", "pruning"),
}  # fmt: skip


def issue_of(copy: Path, edits: dict[str, tuple[str, str]]) -> str:
    """Return the message on reading a copy of the library in which one string per file is replaced."""
    shutil.copytree(DATA, copy / "data")
    for file, (old, new) in edits.items():
        file = f"data/{file}"
        text = (copy / file).read_text(encoding="utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LibraryError) as caught:
        read_library(copy)
    return str(caught.value)


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_file_is_told_with_file_and_line(name, tmp_path):
    file, old, new, what = BREAKS[name]
    message = issue_of(tmp_path, {file: (old, new)})
    assert message.startswith(f"{Path(file).name}:") and what in message
    assert message.split(":")[1].isdigit()


def test_the_line_is_that_of_the_issue(tmp_path):
    message = issue_of(tmp_path, {"tco.yaml": ("typ: 1.35", "typ: 3.5")})
    lines = (tmp_path / "data" / "tco.yaml").read_text(encoding="utf-8").splitlines()
    line = 1 + next(number for number, text in enumerate(lines) if "pue:" in text)
    assert message == f"tco.yaml:{line}: tco.pue: high must be at least typ, got high 1.58 and typ 3.5"


def test_all_issues_are_told_at_once(tmp_path):
    edits = {
        "tco.yaml": ("typ: 1.35", "typ: 3.5"),
        "chips/nvidia.yaml": ("    node: tsmc_12", "    node: tsmc_21"),
        "memory_grades.yaml": ("technology: hbm4", "technology: hbm9"),
    }
    issues = issue_of(tmp_path, edits).splitlines()
    assert {issue.split(":")[0] for issue in issues} == {Path(file).name for file in edits}


def test_a_line_is_found_for_the_deepest_part_that_exists(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("a:\n  b:\n    - x: 1\n    - x: 2\nc: 3\n", encoding="utf-8")
    assert [line_of(path, keys) for keys in (["a"], ["a", "b"], ["a", "b", 1, "x"], ["a", "q"], ["c"])] == [
        1,
        2,
        4,
        1,
        5,
    ]


def test_an_empty_directory_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(LibraryError, match="holds no YAML file"):
        read_library(tmp_path)


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "some.yaml").write_text("- 1\n- 2\n", encoding="utf-8")
    with pytest.raises(LibraryError, match=r"some\.yaml:1: must hold a mapping"):
        read_library(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"), [("1e9", 1e9), ("13.0e9", 13e9), ("2.0e-6", 2e-6), ("12", 12), ("6b4d5fb", "6b4d5fb")]
)
def test_numbers_are_those_of_yaml_1_2(tmp_path, text, value):
    path = tmp_path / "some.yaml"
    path.write_text(f"a: {text}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": value}


def named(data):
    """Return data with every key as text, as sweeps have them."""
    if isinstance(data, dict):
        return {str(key): named(value) for key, value in data.items()}
    return [named(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_the_library_is_read_as_a_sweep_is_and_as_yaml_1_1_where_both_agree(path):
    text = path.read_text(encoding="utf-8")
    # Their texts too: 1 and 1.0 and True are equal.
    assert repr(named(plain_data(text))) == repr(parse_yaml(text, path.name).plain())
    assert not re.search(r": (yes|no|on|off|[0-9]+:[0-9:]+)$", text, re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "a:", "[1, 2.5, -3e2, 0x1F, ~, yes, 'yes', \"1\", 2020-01-01]", "a: &x {b: 1}\nc: *x",
        "a: |\n  two\n  lines\n", "? 1\n: 2", "[1_000, 0o17, 017, 0x1f, .5, 5., 1e3, +3, on, NO, y, 190:20:30, 12:30]",
        "[true, False, TRUE, null, Null, 1__0, _1, 1_, 0b11, 1e, e1, -, .]", "{a: 'yes', b: \"12\", c: yes}",
    ],
)  # fmt: skip
def test_the_corners_of_yaml_are_read_as_sweeps_read_them(text):
    assert repr(named(plain_data(text))) == repr(parse_yaml(text, "it").plain())


def test_words_mean_what_they_mean_in_yaml_1_2():
    assert plain_data("[yes, 12:30, 0o17, 017, 2020-01-01, 1_000]") == ["yes", "12:30", 15, 17, "2020-01-01", 1000]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", "'a' appears twice"),
        ("a: 1\n---\nb: 2", "must be one document"),
        ("a: *nowhere", "no anchor &nowhere"),
        ("a: !!python/object:os.system {}", "not plain data"),
        ("[a]: 1", "a key must be a word"),
        ("null: 1", "a key must be a word"),
        ("1.5: 1", "a key must be a word"),
        ("{1: a, '1': b}", "'1' appears twice"),
        ("a: {<<: {b: 1}}", "merge keys"),
        ("a: &x '<<'\nb: {*x : 1}", "x stands where a key must be"),
        ("a: !!str 12", "no meaning"),
        ("a: .inf", "not a finite number"),
        ("a: 1e999", "not a finite number"),
        (f"a: {'9' * 5000}", "not a finite number"),
        ("[" * 41 + "]" * 41, "nested deeper than 40"),
        ("a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)), "20000 values"),
    ],
)
def test_what_is_not_plain_data_is_refused(text, told):
    with pytest.raises(yaml.MarkedYAMLError, match=told):
        plain_data(text)


def test_every_name_that_an_entry_refers_to_must_be_there():
    """One library laid over ours with a wrong name of every kind: each is told, and nothing else."""
    wrong = {
        "chips": {"h100_sxm": {
            "node": "tsmc_21", "family": "hoppers", "idle_board": "none_such", "link_path": "string",
            "memory_technology": "hbm33", "second_technology": "ddr44", "default_stack": "vlmm",
        }},
        "models": {"llama2_7b": {"quantised_like": "none_such"}},
        "memory_grades": {"hbm3_5200": {"technology": "hbm33"}, "hbm3": {"gbps_per_pin": 0}},
        "memory": {"cube": {
            "packaging_class": "board", "package_bits": [64], "package_gib": [1], "near_operands": ["int8"],
        }},
        "nodes": {"tsmc_7": {"carbon_node": "7a", "fab_grid": "mars"}},
        "mac_formats": {"int5xint5": {"weight_bits": 5, "activation_bits": 5, "float_weights": False}},
        "bounds": {"tco.none_such": "(0, 1]", "memory.cube.*": "(0, 1]"},
        "shared_causes": {
            "heat": {"parameters": ["heat_limits_w_per_mm2.*", "heat.*"]},
            "nre": {"correlation": {"typ": 1.01, "src": ["derived"], "conf": "low"}},
            "phy": {"correlation": {"typ": 1.0, "src": ["derived"], "conf": "low"}},
            "leakage": {"correlation": {"typ": 0, "src": ["derived"], "conf": "low"}},
            "one": {"parameters": ["tco.pue"]},
        },
        "stacks": {
            "gaudi": {"families": ["hopper", "cdna2"]},
            "late": {"base": "later", "name": "late", "src": ["derived"]},
        },
    }  # fmt: skip
    with pytest.raises(LibraryError) as caught:
        extended_library(Sections(wrong))
    told = sorted(line.partition("; perhaps ")[0] for line in str(caught.value).splitlines())
    missing = [f"memory.cube: {name} is missing" for name in MEMORY_PARAMETERS]
    missing += [f"memory.cube.near_operands: near_memory.cube.{name} is missing" for name in NEAR_PARAMETERS]
    assert told == sorted([
        "bounds.memory.cube.*: no number of the library has such a path",
        "bounds.tco.none_such: no number of the library has such a path",
        "chips.h100_sxm.default_stack: 'vlmm' is not a default_stack of the library",
        "chips.h100_sxm.family: 'hoppers' is not a family of the library",
        "chips.h100_sxm.idle_board: static_power.idle_board_w.none_such is not a number of the library",
        "chips.h100_sxm.link_path: link_paths has no row 'string'",
        "chips.h100_sxm.memory_technology: 'hbm33' is not a memory_technology of the library",
        "chips.h100_sxm.node: 'tsmc_21' is not a node of the library",
        "chips.h100_sxm.second_technology: 'ddr44' is not a second_technology of the library",
        "mac_formats.int5xint5: mac_n7.formats.int5xint5.area_array_um2 is missing",
        "mac_formats.int5xint5: mac_n7.formats.int5xint5.energy_bare_pj is missing",
        "memory_grades.hbm3.gbps_per_pin: must be above 0 off the die, got 0",
        "memory_grades.hbm3_5200.technology: 'hbm33' is not a technology of the library",
        "models.llama2_7b.quantised_like: quality.quantisation.sensitivity.none_such is not a number of the library",
        "nodes.tsmc_7.carbon_node: carbon.fab_energy_kwh_per_cm2 has no row '7a'",
        "nodes.tsmc_7.carbon_node: carbon.fab_gas_g_per_cm2_95pct_abatement has no row '7a'",
        "nodes.tsmc_7.fab_grid: carbon.grid_g_per_kwh has no row 'mars'",
        "shared_causes.heat.parameters: no parameter is like 'heat.*'",
        "shared_causes.nre.correlation: typ must be at most 1, got 1.01",
        "shared_causes.nre: correlation must be a parameter from 0 to 1",
        "shared_causes.one: correlation must be a parameter from 0 to 1",
        "stacks.gaudi.families: 'cdna2' belongs to 'vllm_cdna2' already",
        "stacks.gaudi.families: 'hopper' belongs to 'gpu_serving' already",
        "stacks.late.base: 'later' is not a stack above this one of the library",
        *missing,
    ])  # fmt: skip


def test_a_document_is_read_up_to_its_limits():
    assert plain_data("[" * 40 + "]" * 40) and plain_data("[" + "1," * 19_999 + "]")[-1] == 1
    with pytest.raises(yaml.MarkedYAMLError, match="holds more than 20000 values"):
        plain_data("[" + "1," * 20_000 + "]")
    # What an alias stands for counts as often as it stands there: 9,997 with its list, twice; keys count too.
    assert len(plain_data("a: &a [" + "1," * 9_996 + "]\nb: *a\nc: [1]")["b"]) == 9_996
    with pytest.raises(yaml.MarkedYAMLError, match="holds more than 20000 values"):
        plain_data("a: &a [" + "1," * 9_996 + "]\nb: *a\nc: [1, 2]")
    assert plain_data("[" + "9" * 399 + ", 0x" + "f" * 397 + "]") == [10**399 - 1, 16**397 - 1]
    for text in ("9" * 400, "0x" + "f" * 398):
        with pytest.raises(yaml.MarkedYAMLError, match="is not a finite number"):
            plain_data(text)
    with pytest.raises(yaml.MarkedYAMLError, match=r"^9{40} is not"):
        plain_data("9" * 400)
    assert plain_data("") is None and plain_data("a: &x 1\nb: *x") == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("kind", "name", "forms"),
    [
        ("chip", "NVIDIA GeForce RTX 4090", ["nvidiageforcertx4090", "rtx4090"]),
        ("chip", "H100-SXM", ["h100sxm"]),
        ("model", "a/Llama-3.1-8B-Instruct-FP8", ["allama318binstructfp8", "llama318binstructfp8", "llama318binstruct",
                                                  "llama318b"]),
        ("model", "Yi-34B chat", ["yi34bchat", "yi34b"]),
        ("model", " - ", []),
    ],
)  # fmt: skip
def test_names_as_sources_spell_them(kind, name, forms):
    assert spellings(kind, name) == forms
    plain = [form for form in forms if "fp8" not in forms[0] or form.endswith("fp8")]
    assert spellings(kind, name, quantized=False) == plain


def test_names_that_are_known_by_others():
    assert resolve("chip", "NVIDIA H100 SXM", LIBRARY) == "h100_sxm" and resolve("chip", "a100", LIBRARY) != "h100_sxm"
    assert resolve("model", "llama2_7b-AWQ", LIBRARY) == "llama2_7b-AWQ"
    assert resolve("model", "llama2_7b-AWQ", LIBRARY, quantized=True) == "llama2_7b"
    assert nearest("model", "llama2_7b-AWQ", LIBRARY) == "llama2_7b" and nearest("chip", "zzz", LIBRARY) == ""
    assert nearest("chip", "h100sxmm", LIBRARY) == "h100_sxm"


def test_what_is_laid_over_wins_key_by_key_and_parameters_as_a_whole():
    below = Sections({"a": {"b": {"x": 1, "y": 2}, "c": {"typ": 1, "high": 2}, "d": 5, "e": [1, 2]}})
    below.lay_over(Sections({"a": {"b": {"y": 3}, "c": {"value": 7}, "d": {"z": 1}, "e": [3]}}))
    assert below.data == {"a": {"b": {"x": 1, "y": 3}, "c": {"value": 7}, "d": {"z": 1}, "e": [3]}}
    with pytest.raises(LibraryError, match=r"'memry' is not a section of the library; perhaps memory$"):
        Sections({"memory": {}}).lay_over(Sections({"memry": {}}))
    assert [below.holds(keys) for keys in (["a"], ["a", "b", "x"], ["a", "q"], ["a", "d", "z", "w"], [])] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert list(Sections({"a": 3, "b": {"c": 4, 5: {}}}).entries("b")) == [("5", {})]
    issues = Sections({"a": 3, "b": {"c": 4}})
    assert [*issues.entries("a"), *issues.entries("b"), *issues.entries("none")] == []
    assert issues.issues == ["a: must be a mapping of entries", "b.c: must be a mapping of fields, got 4"]
    placed = Sections({"a": {}}, where=lambda keys: f"sweep.yaml:{len(keys)}")
    assert placed.place_of(["a", "b"]) == "sweep.yaml:2: "
    below.overlays.append(placed)
    assert (below.place_of(["a"]), below.place_of(["a", "b"])) == ("sweep.yaml:1: ", "")

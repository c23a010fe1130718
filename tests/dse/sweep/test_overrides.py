"""Sweeps that extend others, and keys replaced from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dse.errors import SpecError
from dse.sweep import FixedSpec, RangeSpec, ValuesSpec, load_spec
from tests.sweeps import TEXT as SWEEP


def test_extends_merges_and_the_child_wins(file: Path) -> None:
    child = file.parent / "child.yaml"
    child.write_text(
        "extends: small.yaml\nname: child\nworkloads: {chat: {batch: 1}}\n"
        "space:\n  macs: {high: 2048}\n  memory:\n  kv_bits: 4\n"
    )
    spec = load_spec(child)
    macs = spec.space["macs"][0]
    assert isinstance(macs, RangeSpec) and (macs.low, macs.high, macs.levels) == (1024, 2048, 7)
    assert set(spec.space) == {"node", "macs", "kv_bits"}
    assert (spec.name, spec.workloads["chat"].batch, spec.workloads["chat"].model) == ("child", 1, "llama2_70b")
    assert spec.source_text == child.read_text()


def test_what_is_declared_anew_replaces_the_old(file: Path) -> None:
    child = file.parent / "child.yaml"
    child.write_text(
        "extends: small.yaml\nsearch: {sampler: grid}\nconstraints: []\n"
        "space:\n  macs: {values: [1, 2]}\n  node: tsmc_5\n"
    )
    spec = load_spec(child)
    assert isinstance(spec.space["macs"][0], ValuesSpec)
    assert isinstance(spec.space["node"][0], FixedSpec)
    assert (spec.search.sampler, spec.search.n_designs, spec.search.seed) == ("grid", None, 0)
    assert spec.constraints == ()


def test_issues_point_into_the_file_they_stand_in(file: Path) -> None:
    child = file.parent / "child.yaml"
    file.write_text(SWEEP.replace("llama2_70b", "llama2_71b"))
    child.write_text("extends: small.yaml\nsearch: {sede: 3}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(child)
    assert [(Path(f.place.file).name, f.place.line) for f in caught.value.issues] == [
        ("child.yaml", 2),
        ("small.yaml", 3),
    ]


@pytest.mark.parametrize(
    ("extends", "says"),
    [
        ("child.yaml", "child.yaml:1:10  extends: goes round in a circle: child.yaml -> child.yaml"),
        ("nothing.yaml", "nothing.yaml cannot be read: No such file"),
        ("[small.yaml]", "a list is not the path of one sweep file"),
    ],
)
def test_extends_that_leads_nowhere(extends: str, says: str, tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {extends}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(child)
    assert says in str(caught.value)


def test_a_circle_of_two_is_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(SpecError, match=r"circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_spec(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("search.seed=3", ("search", "seed"), 3),
        ("search.n_designs=2e6", ("search", "n_designs"), 2_000_000),
        ("name=other", ("name",), "other"),
        ("constraints[0].max=80 W", ("constraints", 0, "max"), 80.0),
        ("constraints.0.max=80 W", ("constraints", 0, "max"), 80.0),
        ("space.macs.levels=3", ("space", "macs", "levels"), 3),
        ("space.macs=4096", ("space", "macs"), 4096.0),
        ("space.chat.batch=4", ("space", "chat.batch"), 4.0),
        ("space.chat.batch.values=[1, 2]", ("space", "chat.batch", "values"), [1.0, 2.0]),
        ("space.technology.tco.pue=1.1", ("space", "technology.tco.pue"), 1.1),
        ("technology.tco.pue=1.1", ("technology", "tco.pue"), 1.1),
        ("technology.tco.pue.typ=1.1", ("technology", "tco.pue"), 1.1),
        ("workloads.chat.batch=64", ("workloads", "chat", "batch"), 64),
        ("workloads.more={model: llama2_7b}", ("workloads", "more", "model"), "llama2_7b"),
    ],
)
def test_overrides(override: str, path: tuple[Any, ...], value: object, file: Path) -> None:
    data: Any = load_spec(file, overrides=[override]).resolved()
    for key in path:
        data = data[key]
    assert data == value


def test_later_overrides_win_and_empty_ones_remove(file: Path) -> None:
    spec = load_spec(file, overrides=["search.seed=3", "search.seed=4", "space.memory="])
    assert spec.search.seed == 4
    assert "memory" not in spec.space


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("search.sede=3", "--set search.sede=3  search.sede: the key 'sede' is not .*perhaps seed"),
        ("search.seed", "'search.seed' is not of the form a.b=value"),
        ("=3", "'=3' is not of the form a.b=value"),
        ("search.seed.x=3", "--set search.seed.x=3  search.seed: 7 has no key x"),
        ("constraints[4].max=3", "4 is not an entry of constraints, which has 1"),
        ("a[b=3", r"'a\[b' is not a dotted path"),
        ("search..seed=3", r"'search..seed' is not a dotted path .*search.seed or .*; perhaps search.seed"),
        ("search.seed.=3", r"'search.seed.' is not a dotted path .*; perhaps search.seed"),
        ("chat.batch=64", "'chat.batch' is no key of a sweep; perhaps workloads.chat.batch"),
        ("search.seed=[1", "--set search.seed=.1: is not YAML"),
        ("space.nothing=", "space.nothing: is not there, so it cannot be removed"),
        ("space.macs.low=-1", "--set space.macs.low=-1  space.macs.low: -1 is not above 0"),
    ],
)
def test_wrong_overrides(override: str, says: str, file: Path) -> None:
    with pytest.raises(SpecError, match=says):
        load_spec(file, overrides=[override])

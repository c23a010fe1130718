"""Small files of every way to say a thing, with the reading that its format's meaning gives, or why it is refused."""

from pathlib import Path

import pytest
import yaml

from cost_models.errors import LibraryError
from cost_models.library import Model, WeightFormat, shipped_library
from cost_models.library.config_formats import published_formats
from cost_models.library.huggingface import entry_of_config

READINGS = Path(__file__).parent / "readings"
FORMATS = yaml.safe_load((READINGS / "formats.yaml").read_text())
LAYERS = yaml.safe_load((READINGS / "layers.yaml").read_text())
PARTS = ("attention", "windows", "states", "blocks", "parts")
ENTRY = (
    *("kind", "weight_bits", "operand", "operand_bits", "group", "scale_bits", "zero_bits", "method", "execution"),
)


def numbered(rows):
    return [pytest.param(*row, id=str(place)) for place, row in enumerate(rows)]


@pytest.mark.parametrize(("told", "meant"), numbered(FORMATS["formats"]))
def test_a_file_says_how_its_weights_are_stored(told, meant):
    model, entries = published_formats(told, False, (), source="c")
    if isinstance(meant, str):
        assert entries == {} and model.get("weight_format", "unknown") == meant
        assert meant == "unknown" or shipped_library().weight_format(meant)
        return
    (name, *values), ((key, entry),) = meant, entries.items()
    assert key == name == model["weight_format"]
    assert {field: entry[field] for field in ENTRY} == dict(zip(ENTRY, values, strict=True))
    assert WeightFormat.model_validate({**entry, "key": key}).weight_bits == values[1]


@pytest.mark.parametrize(("told", "dense", "mixture"), numbered(FORMATS["remarks"]))
def test_what_is_spared_or_not_followed_is_told(told, dense, mixture):
    for has_experts, words in ((False, dense), (True, mixture)):
        model, _ = published_formats(told, has_experts, (), source="c")
        assert model["published_as"] == words
        of = "expert_format" if words.startswith("experts") else "weight_format"
        assert set(model) == {"published_as"} | ({of, "native_formats"} if "not known" not in words else set())


@pytest.mark.parametrize(("method", "native"), FORMATS["native"].items())
def test_methods_of_makers_are_native(method, native):
    model, _ = published_formats({"quant_method": method}, False, ("fp8", "mxfp4", "bitnet"), source="c")
    assert model["native_formats"] is native


@pytest.mark.parametrize(("told", "words"), numbered(FORMATS["refused"]))
def test_formats_that_cannot_be_are_refused(told, words):
    with pytest.raises(LibraryError) as caught:
        published_formats(told, False, (), source="c")
    assert str(caught.value) == f"c: {words}"


def entry_of(changes):
    """Return the entry of the base with changes; ``latent`` and ``experts`` stand for the fields of that name."""
    whole = {**LAYERS["base"]}
    for name in ("latent", "experts"):
        whole |= LAYERS[name] if changes.get(name) else {}
    whole |= {name: value for name, value in changes.items() if name not in ("latent", "experts")}
    return entry_of_config(whole, source="c")


@pytest.mark.parametrize(("changes", "meant"), numbered([row for part in PARTS for row in LAYERS[part]]))
def test_a_file_says_what_its_layers_are(changes, meant):
    entry = entry_of(changes)
    assert {field: entry.get(field) for field in meant} == meant
    Model.model_validate({**entry, "key": "x"})


@pytest.mark.parametrize(("changes", "words"), numbered(LAYERS["refused"]))
def test_layers_that_cannot_be_are_refused(changes, words):
    with pytest.raises(LibraryError) as caught:
        entry_of(changes)
    assert str(caught.value) == f"c: {words}"

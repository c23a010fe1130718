"""Names of chips and models as sources spell them: case, spaces, makers' prefixes, variants of a checkpoint."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Protocol

from cost_models.errors import near_names

ALIASES = "aliases.csv"
"""Other names of chips and models, with the reason for each, in the library."""

MAKERS = r"^(nvidia|geforce|quadro|tesla|amd|instinct|radeon|intel|arc|google|cloud|apple|aws|amazon|habana)\b[\s_-]*"

TUNED = r"instruct|chat|base|hf|it|bf16|fp16|v0\.\d|2407|2507|0528"
"""Endings of a checkpoint's name that leave its dimensions and its formats as they are."""

QUANTIZED = r"fp8|fp4|nvfp4|mxfp4|int8|int4|w4a16|w8a8|awq|gptq|gguf|dynamic|quantized|q\d(_\w+)?"
"""Endings that leave its dimensions as they are, but not its formats."""


class Entries(Hashable, Protocol):
    """What of a library has names, and where their other spellings are."""

    @property
    def chips(self) -> Mapping[str, Any]:
        """Chips by key."""

    @property
    def models(self) -> Mapping[str, Any]:
        """Models by key."""

    def data_file(self, name: str) -> Path:
        """Return a file of the library by name."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def spellings(kind: str, name: str, *, quantized: bool = True) -> list[str]:
    """Return plain forms of a name, the nearest to it first: as it is, without maker, without owner and variant.

    Args:
        kind: "chip" or "model".
        name: as a source spells it.
        quantized: whether endings that tell of other formats are left out too.
    """
    reported = name.strip()
    forms = [reported]
    if kind == "chip":
        bare = reported
        while (shorter := re.sub(MAKERS, "", bare, flags=re.IGNORECASE)) != bare:
            bare = shorter
        forms.append(bare)
    else:
        bare = reported.rsplit("/", 1)[-1]
        forms.append(bare)
        variants = f"{TUNED}|{QUANTIZED}" if quantized else TUNED
        while (shorter := re.sub(rf"[-_. ]+({variants})$", "", bare, flags=re.IGNORECASE)) != bare:
            bare = shorter
            forms.append(bare)
    return list(dict.fromkeys(_plain(form) for form in forms if _plain(form)))


@functools.lru_cache(maxsize=8)
def _known(kind: str, library: Entries) -> dict[str, str]:
    entries = library.chips if kind == "chip" else library.models
    known: dict[str, str] = {}
    with library.data_file(ALIASES).open(encoding="utf-8", newline="") as stream:
        known.update({_plain(row["alias"]): row["key"] for row in csv.DictReader(stream) if row["kind"] == kind})
    for key, entry in entries.items():
        for form in spellings(kind, entry.name):
            known.setdefault(form, key)
    known.update({_plain(key): key for key in entries})
    return known


def resolve(kind: str, name: str, library: Entries, *, quantized: bool = False) -> str:
    """Return the library's key for a name, the name itself where nothing is known by it.

    Args:
        kind: "chip" or "model".
        name: as a source spells it.
        library: chips and models.
        quantized: whether a name may tell of formats that the entry does not have: where they are given beside it.
    """
    if name in (library.chips if kind == "chip" else library.models):
        return name
    known = _known(kind, library)
    return next((known[form] for form in spellings(kind, name, quantized=quantized) if form in known), name)


def singular(section: str) -> str:
    """Return what one entry of a section of the library is called.

    >>> singular("memories"), singular("weight_formats"), singular("evidence")
    ('memory', 'weight_format', 'evidence')
    """
    return section.removesuffix("ies") + "y" if section.endswith("ies") else section.removesuffix("s")


def nearest(kind: str, name: str, library: Entries) -> str:
    """Return the key of the known name most like one that is not known, "" where none is."""
    known = _known(kind, library)
    if form := next((form for form in spellings(kind, name) if form in known), None):
        return known[form]
    result = near_names(_plain(name), known, 1)
    return known[result[0]] if result else ""

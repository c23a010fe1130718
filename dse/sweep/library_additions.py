"""What a sweep adds to the library: ``library:``, ``--library DIR``, and models given as a file.

    library: my_chips/                      # a directory of YAML files with sections as the library's own
    library: [my_chips/, {models: {...}}]   # several, or the entries themselves
    workloads: {chat: {model: Qwen3-8B/config.json}}

All of it becomes plain data in the sweep (`Spec.library`), so that a run directory needs no other file.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cost_models.errors import LibraryError
from cost_models.library import Library, extended_library, shipped_library
from cost_models.library.files import Sections
from dse.errors import Issue, Place, SpecError
from dse.sweep.files import read_tree
from dse.sweep.hints import quoted
from dse.yaml_positions import Node

MODEL_FILES = (".json", ".gguf")
"""Endings by which a model is known to be a file."""

Data = dict[str, Any]


def with_additions(tree: Node, directories: Sequence[Path] = ()) -> tuple[Node, Library, Data]:
    """Return a sweep without its additions, the library with them, and the additions as plain data.

    Args:
        tree: the sweep.
        directories: further directories or sweep files, as ``--library`` names them.

    Raises:
        SpecError: ``library`` is not what it must be, or a file of a model cannot be read.
        LibraryError: what is added is at fault.
    """
    if not isinstance(tree.value, dict):
        return tree, shipped_library(), {}
    parts = [*_parts(tree.value.get("library")), *map(sections_at, directories)]
    tree, models = _with_models(tree, tree.value)
    if models:
        parts.append(Sections(models))
    rest = {key: node for key, node in tree.value.items() if key != "library"} if isinstance(tree.value, dict) else {}
    if not parts:
        return replace(tree, value=rest), shipped_library(), {}
    everything = Sections({name: {} for part in parts for name in part.data})
    for part in parts:
        everything.lay_over(part)
    try:
        library = library_of(everything.data)
    except (LibraryError, TypeError):  # keys that are no words do not sort
        library = extended_library(*parts)  # which says where each is at fault
    return replace(tree, value=rest), library, everything.data


def sections_at(path: Path) -> Sections:
    """Return the entries that a directory adds to the library, or those that a sweep file adds.

    Raises:
        SpecError: the file is not YAML, or its ``library`` is not what it must be.
        LibraryError: the directory holds no entries, or they are at fault.
    """
    if path.is_file():
        _, _, additions = with_additions(read_tree(path)[0])
        return Sections(additions)
    return Sections.read(path)


def library_with(paths: Sequence[Path]) -> Library:
    """Return the shipped library with what directories and sweep files add to it (see `sections_at`)."""
    return extended_library(*map(sections_at, paths)) if paths else shipped_library()


@functools.lru_cache(maxsize=8)
def _library_of_text(text: str) -> Library:
    return extended_library(Sections(json.loads(text)))


def library_of(additions: Mapping[str, Any]) -> Library:
    """Return the shipped library with a sweep's additions, read once for the same additions.

    Raises:
        LibraryError: what is added is at fault.
    """
    return _library_of_text(json.dumps(additions, sort_keys=True)) if additions else shipped_library()


def _parts(node: Node | None) -> Iterator[Sections]:
    """Yield what ``library`` adds, in its order."""
    if node is None:
        return
    for item in node.value if isinstance(node.value, list) else [node]:
        if isinstance(item.value, dict):
            yield Sections(dict(item.plain()), where=functools.partial(_place_in, item))
        elif isinstance(item.value, str):
            yield _directory(item)
        else:
            must_be = "a directory, or sections with entries"
            raise SpecError([Issue(item.place, "library", quoted(item.plain()), must_be)])


def _place_in(node: Node, keys: Sequence[str | int]) -> str:
    """Return the place of what stands under keys of a node, or of the innermost of them that is there."""
    for key in keys:
        inner = node.value.get(str(key)) if isinstance(node.value, dict) else None
        if inner is None:
            break
        node = inner
    return str(node.place)


def _directory(item: Node) -> Sections:
    where = _beside(item.place, str(item.value))
    if not where.is_dir():
        raise SpecError([Issue(item.place, "library", quoted(item.value), "a directory of YAML files")])
    return Sections.read(where)


def _beside(place: Place, path: str) -> Path:
    """Return a path as it stands in a file: from that file's own folder."""
    return Path(place.file).parent / path if place.line else Path(path)


def _with_models(tree: Node, sections: Mapping[str, Node]) -> tuple[Node, Data]:
    """Return the sweep with the names of entries in place of files of models, and those entries."""
    workloads = sections.get("workloads")
    if workloads is None or not isinstance(workloads.value, dict):
        return tree, {}
    sections_of_files: Data = {}
    changed = dict(workloads.value)
    for name, workload in workloads.value.items():
        model = workload.value.get("model") if isinstance(workload.value, dict) else None
        if model is None or not isinstance(model.value, str) or not model.value.endswith(MODEL_FILES):
            continue
        key, added = _model_of_file(model, f"workloads.{name}.model")
        for section, entries in added.items():
            sections_of_files.setdefault(section, {}).update(entries)
        assert isinstance(workload.value, dict)
        changed[name] = replace(workload, value={**workload.value, "model": replace(model, value=key)})
    return replace(tree, value={**sections, "workloads": replace(workloads, value=changed)}), sections_of_files


def model_stem(file: Path) -> str:
    """Return what a model's file is called: its own name, or that of the folder of a ``config.json``."""
    return file.parent.resolve().name if file.stem == "config" else file.stem


def _model_of_file(node: Node, path: str) -> tuple[str, Data]:
    """Return the name of a model whose architecture a file holds, and what the file adds to the library."""
    file = _beside(node.place, str(node.value))
    stem = model_stem(file)
    key = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    if key in shipped_library().models:
        # Hugging Face names folders after models, and the library may hold one of that name.
        key = f"{key}_file"
    if not file.is_file():
        raise SpecError([Issue(node.place, path, quoted(node.value), "a config.json or a .gguf file that is there")])
    try:
        if file.suffix == ".gguf":
            from dse.sweep.gguf_models import sections_of_gguf

            added = sections_of_gguf(file, key, source=file.name)
        else:
            source = f"{stem}/{file.name}" if file.stem == "config" else file.name
            from cost_models.library.huggingface import read_config, sections_of_config

            added = sections_of_config(read_config(file), key, source=source)
        return key, {section: entries for section, entries in added.items() if entries}
    except LibraryError as error:
        raise SpecError([Issue(node.place, path, str(error))]) from None

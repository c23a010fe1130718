"""Reading the cited data under ``data``: chips, models, nodes, memories, formats, stacks, parameters.

Entries are records of `cost_models.library.records` and `cost_models.library.models`; every ranged number is a
`LibraryParameter`, found by its dotted path in the YAML, for example ``nodes.tsmc_7.wafer_price_usd``.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from cost_models.errors import LibraryError, UnknownEntryError
from cost_models.library.files import Data, Sections
from cost_models.library.models import Model, WeightFormat
from cost_models.library.names import resolve
from cost_models.library.parameters import LibraryParameterReader, issue_text
from cost_models.library.records import (
    Cause,
    Chip,
    ChipFamily,
    LibraryParameter,
    LibraryRecord,
    MacFormat,
    Memory,
    MemoryGrade,
    ProcessNode,
    Source,
    Stack,
)

MEMORY_PARAMETERS = (
    "unit_bits", "effective_fraction", "phy_controller_mm2", "beachfront_mm", "idle_w_per_gib", "embodied_g_per_gib",
    "energy_total_pj_per_bit", "price_usd_per_gb", "efficiency_stream",
)  # fmt: skip
"""Parameters that every memory technology must have."""

NEAR_PARAMETERS = (
    "bandwidth_over_external", "gemv_efficiency", "rows", "energy_over_external", "channel_bits", "start_ns",
    "clock_ghz", "mm2_per_gib",
)  # fmt: skip
"""Parameters under ``near_memory`` of every technology that has units beside its banks."""

CARBON_TABLES = ("fab_energy_kwh_per_cm2", "fab_gas_g_per_cm2_95pct_abatement")
"""Tables of ``carbon.yaml`` with a row for every node's `carbon_node`."""

Support = Literal["unsourced", "derived", "cited"]
"""What a number rests on, the weakest first."""

E = TypeVar("E", bound=LibraryRecord)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Library:
    """Everything the library holds, by key; two are the same only where they are one object.

    Attributes:
        parameters: every ranged number that models read, by its dotted path.
        directory: where the files lie.
    """

    chips: Mapping[str, Chip]
    chip_families: Mapping[str, ChipFamily]
    models: Mapping[str, Model]
    memories: Mapping[str, Memory]
    memory_grades: Mapping[str, MemoryGrade]
    nodes: Mapping[str, ProcessNode]
    mac_formats: Mapping[str, MacFormat]
    weight_formats: Mapping[str, WeightFormat]
    stacks: Mapping[str, Stack]
    causes: Mapping[str, Cause]
    parameters: Mapping[str, LibraryParameter]
    sources: Mapping[str, Source]
    directory: Path

    @functools.cached_property
    def evidence(self) -> Mapping[str, LibraryParameter]:
        """Cited numbers that no model reads, by path: what others rest on or are checked against; read when asked for.

        Raises:
            LibraryError: file and line of every issue in them.
        """
        beside = Sections.read(self.directory / "evidence") if (self.directory / "evidence").is_dir() else Sections()
        evidence = LibraryParameterReader(beside, self.sources).read()
        for path in evidence:
            if path in self.parameters:
                beside.issue(path.split("."), "stands among what models read too")
        beside.raise_issues()
        return evidence

    def chip(self, name: str) -> Chip:
        """Return a chip, or raise UnknownEntryError with the closest names."""
        return _entry("chip", self.chips, name)

    def model(self, name: str) -> Model:
        """Return a model by its key or as others spell it, or raise UnknownEntryError with the closest names."""
        return _entry("model", self.models, resolve("model", name, self))

    def memory(self, name: str) -> Memory:
        """Return a memory technology, or raise UnknownEntryError with the closest names."""
        return _entry("memory technology", self.memories, name)

    def memory_grade(self, name: str) -> MemoryGrade:
        """Return a memory speed grade, or raise UnknownEntryError with the closest names."""
        return _entry("memory grade", self.memory_grades, name)

    def node(self, name: str) -> ProcessNode:
        """Return a process node, or raise UnknownEntryError with the closest names."""
        return _entry("node", self.nodes, name)

    def mac_format(self, name: str) -> MacFormat:
        """Return a MAC format, or raise UnknownEntryError with the closest names."""
        return _entry("MAC format", self.mac_formats, name)

    def weight_format(self, name: str) -> WeightFormat:
        """Return a weight format, or raise UnknownEntryError with the closest names."""
        return _entry("weight format", self.weight_formats, name)

    def stack(self, name: str) -> Stack:
        """Return a software stack, or raise UnknownEntryError with the closest names."""
        return _entry("software stack", self.stacks, name)

    def stack_for_family(self, family: str) -> Stack:
        """Return the generic stack of a chip family.

        Raises:
            LibraryError: no stack lists the family.
        """
        for stack in self.stacks.values():
            if family in stack.families:
                return stack
        raise LibraryError(f"stacks.yaml: no stack lists {family!r} among its families")

    def parameter(self, path: str) -> LibraryParameter:
        """Return a parameter by its dotted path, or raise UnknownEntryError with the closest ones."""
        return _entry("parameter", self.parameters, path)

    def support(self, parameter: LibraryParameter) -> Support:
        """Return what a number rests on: a page, arithmetic on other entries alone, or nobody's page."""
        kinds = {self.sources[key].kind for key in parameter.sources}
        if kinds - {"derived", "none"}:
            return "cited"
        return "derived" if "derived" in kinds else "unsourced"

    def data_file(self, name: str) -> Path:
        """Return the path of a shipped table by its file's name, ``quality.csv`` or ``open.csv`` for example.

        Raises:
            UnknownEntryError: no such table.
        """
        tables = {path.name: path for path in self.directory.rglob("*.csv")}
        return _entry("data file", tables, name)


def _entry(kind: str, table: Mapping[str, T], name: str) -> T:
    try:
        return table[name]
    except KeyError:
        raise UnknownEntryError(kind, name, table) from None


@functools.cache
def shipped_library() -> Library:
    """Return the library that the package ships, read once.

    Raises:
        LibraryError: file and line of every issue in it.
    """
    return read_library(_shipped_directory())


def _shipped_directory() -> Path:
    return Path(str(importlib.resources.files("cost_models.library")))


def extended_library(*additions: Sections) -> Library:
    """Return the shipped library with entries and parameters added, the later ones winning.

    An entry of the same name is changed in the fields that the addition gives. Both are checked alike.

    Raises:
        LibraryError: every issue, with file and line where the addition is a file.
    """
    return read_library(_shipped_directory(), *additions)


def read_library(directory: Path, *additions: Sections) -> Library:
    """Read a library from a directory, with further sections laid over what models read.

    What models read is the tree of YAML files under ``data``, what they do not read that under ``evidence``, if any
    (`Library.evidence`).

    Raises:
        LibraryError: file and line of every issue in it.
    """
    sections = Sections.read(directory / "data")
    for addition in additions:
        sections.lay_over(addition)
    sources = _records(sections, "sources", Source)
    parameters = LibraryParameterReader(sections, sources).read()
    _inherit_stacks(sections, parameters)
    library = Library(
        chips=_records(sections, "chips", Chip),
        chip_families=_records(sections, "chip_families", ChipFamily, _own_fields(ChipFamily)),
        models=_records(sections, "models", Model),
        memories=_records(sections, "memory", Memory, _own_fields(Memory)),
        memory_grades=_records(sections, "memory_grades", MemoryGrade),
        nodes=_records(sections, "nodes", ProcessNode, _own_fields(ProcessNode)),
        mac_formats=_records(sections, "mac_formats", MacFormat),
        weight_formats=_records(sections, "weight_formats", WeightFormat),
        stacks=_records(sections, "stacks", Stack, functools.partial(_stack_fields, _of_stacks(parameters))),
        causes=_records(sections, "shared_causes", Cause, _own_fields(Cause)),
        parameters=parameters,
        sources=sources,
        directory=directory,
    )
    _check_references(library, sections)
    sections.raise_issues()
    return library


def _own_fields(kind: type[LibraryRecord]) -> Callable[[str, Data], Data]:
    """Return a function that keeps the fields of a record and leaves out the parameters beside them."""
    return lambda key, entry: {name: entry[name] for name in kind.model_fields if name in entry}


def _inherit_stacks(sections: Sections, parameters: dict[str, LibraryParameter]) -> None:
    """Give each stack the parameters of its base that it lacks; a base stands before the stacks built on it."""
    known: list[str] = []
    own = _of_stacks(parameters)
    for key, entry in sections.entries("stacks"):
        base = entry.get("base")
        if base is not None and base not in known:
            sections.issue(["stacks", key, "base"], str(UnknownEntryError("stack above this one", str(base), known)))
        for name, parameter in [*own.get(str(base), {}).items()]:
            own.setdefault(key, {}).setdefault(name, parameter)
            parameters.setdefault(f"stacks.{key}.{name}", parameter)
        known.append(key)


def _of_stacks(parameters: Mapping[str, LibraryParameter]) -> dict[str, dict[str, LibraryParameter]]:
    """Return the parameters of each stack by their paths below it."""
    result: dict[str, dict[str, LibraryParameter]] = {}
    for path, parameter in parameters.items():
        section, _, rest = path.partition(".")
        key, _, name = rest.partition(".")
        if section == "stacks" and name:
            result.setdefault(key, {})[name] = parameter
    return result


def _stack_fields(of_stacks: Mapping[str, Mapping[str, LibraryParameter]], key: str, entry: Data) -> Data:
    """Gather the parameters of a stack under `parameters`."""
    parameters = of_stacks.get(key, {})
    fields = {name: value for name, value in entry.items() if name not in parameters and name not in ("src", "conf")}
    return {**fields, "sources": entry.get("src", ()), "parameters": parameters}


def _records(
    sections: Sections, section: str, kind: type[E], fields: Callable[[str, Data], Data] = lambda key, entry: entry
) -> dict[str, E]:
    """Build the records of a section; what is wrong with them is noted as issues."""
    records = {}
    for key, entry in sections.entries(section):
        try:
            records[key] = kind.model_validate({**fields(key, entry), "key": key})
        except ValidationError as error:
            for issue in error.errors():
                sections.issue([section, key, *issue["loc"]], issue_text(issue))
    return records


def _check_references(library: Library, sections: Sections) -> None:
    """Note as issues every name in an entry that the library does not hold."""
    for key, chip in library.chips.items():
        _check_name(sections, ["chips", key, "node"], chip.node, library.nodes)
        _check_name(sections, ["chips", key, "family"], chip.family, library.chip_families)
        idle = f"static_power.idle_board_w.{chip.idle_board}"
        if chip.idle_board is not None and idle not in library.parameters:
            sections.issue(["chips", key, "idle_board"], f"{idle} is not a number of the library")
        if f"link_paths.{chip.link_path}.added_s" not in library.parameters:
            sections.issue(["chips", key, "link_path"], f"link_paths has no row {chip.link_path!r}")
        _check_name(sections, ["chips", key, "memory_technology"], chip.memory_technology, library.memories)
        _check_name(sections, ["chips", key, "second_technology"], chip.second_technology, library.memories)
        _check_name(sections, ["chips", key, "default_stack"], chip.default_stack, library.stacks)
    for key, model in library.models.items():
        path = f"quality.quantisation.sensitivity.{model.quantised_like}"
        if model.quantised_like is not None and path not in library.parameters:
            sections.issue(["models", key, "quantised_like"], f"{path} is not a number of the library")
    for key, grade in library.memory_grades.items():
        _check_name(sections, ["memory_grades", key, "technology"], grade.technology, library.memories)
        memory = library.memories.get(grade.technology)
        if memory is not None and memory.packaging_class != "on_die" and not grade.gbps_per_pin:
            sections.issue(["memory_grades", key, "gbps_per_pin"], "must be above 0 off the die, got 0")
    for key, memory in library.memories.items():
        for name in MEMORY_PARAMETERS:
            if f"memory.{key}.{name}" not in library.parameters:
                sections.issue(["memory", key], f"{name} is missing")
        for name in NEAR_PARAMETERS if memory.near_operands else ():
            if f"near_memory.{key}.{name}" not in library.parameters:
                sections.issue(["memory", key, "near_operands"], f"near_memory.{key}.{name} is missing")
    for key, node in library.nodes.items():
        for table in CARBON_TABLES:
            if f"carbon.{table}.{node.carbon_node}" not in library.parameters:
                sections.issue(["nodes", key, "carbon_node"], f"carbon.{table} has no row {node.carbon_node!r}")
        if f"carbon.grid_g_per_kwh.{node.fab_grid}" not in library.parameters:
            sections.issue(["nodes", key, "fab_grid"], f"carbon.grid_g_per_kwh has no row {node.fab_grid!r}")
    for key in library.mac_formats:
        for name in ("energy_bare_pj", "area_array_um2"):
            if f"mac_n7.formats.{key}.{name}" not in library.parameters:
                sections.issue(["mac_formats", key], f"mac_n7.formats.{key}.{name} is missing")
    by_ends: dict[tuple[str, str], list[list[str]]] = {}
    for words in (path.split(".") for path in library.parameters):
        by_ends.setdefault((words[0], words[-1]), []).append(words)
    for pattern in dict(sections.data.get("bounds", {})):
        parts = str(pattern).split(".")
        if not any(
            len(parts) == len(words) and all(part in ("*", word) for part, word in zip(parts, words, strict=True))
            for words in by_ends.get((parts[0], parts[-1]), ())
        ):
            sections.issue(["bounds", pattern], "no number of the library has such a path")
    for key, cause in library.causes.items():
        for pattern in cause.parameters:
            alone = cause.model_copy(update={"parameters": (pattern,)})
            if not any(map(alone.factor_of, library.parameters)):
                sections.issue(["shared_causes", key, "parameters"], f"no parameter is like {pattern!r}")
        strength = library.parameters.get(f"shared_causes.{key}.correlation")
        if strength is None or not 0 <= strength.typ <= 1:
            sections.issue(["shared_causes", key], "correlation must be a parameter from 0 to 1")
    families: dict[str, str] = {}
    for key, stack in library.stacks.items():
        for family in stack.families:
            if families.setdefault(family, key) != key:
                sections.issue(["stacks", key, "families"], f"{family!r} belongs to {families[family]!r} already")


def _check_name(sections: Sections, keys: list[str], name: str | None, table: Mapping[str, object]) -> None:
    if name is not None and name not in table:
        sections.issue(keys, str(UnknownEntryError(keys[-1], name, table)))

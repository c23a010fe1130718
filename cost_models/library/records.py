"""Records of the library: one class per kind of entry, frozen and validated as they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cost_models.quantities.records import MOST_SIZE, size_issue

ChipExecutionMode = Literal["dense", "direct", "dequantize", "skip_2of4", "look_up", "bit_plane"]
"""What `Chip.executions` may hold; no chip here is documented to gate or skip zeros that lie anywhere."""

NARROW_PEAKS = ("fp8", "int8", "int4", "fp4")
"""Peaks of operands below 16 bits."""

MOST_LAYERS, MOST_WIDTH, MOST_COUNT, MOST_BITS = 4096, 2**24, 2**31, 64
"""Far beyond what a model, a chip or a weight has of them, and weights of a model are still a number of a computer."""


def _sized(number: float) -> float:
    """Return a number that an amount may have (`size_issue`)."""
    if must := size_issue(number):
        raise ValueError(f"must be {must}")
    return number


# What a number of a record may be; every one is of one of these kinds, or has a range of its own.
Amount = Annotated[float, Field(gt=0), AfterValidator(_sized)]
AmountOrZero = Annotated[float, Field(ge=0), AfterValidator(_sized)]
Share = Annotated[float, Field(ge=0, lt=1), AfterValidator(_sized)]
AboveZeroToOne = Annotated[float, Field(gt=0, le=1), AfterValidator(_sized)]
Bits = Annotated[float, Field(gt=0, le=MOST_BITS), AfterValidator(_sized)]
BitsOrZero = Annotated[float, Field(ge=0, le=MOST_BITS), AfterValidator(_sized)]
WholeBits = Annotated[int, Field(gt=0, le=MOST_BITS)]
Layers = Annotated[int, Field(gt=0, le=MOST_LAYERS)]
Width = Annotated[int, Field(gt=0, lt=MOST_WIDTH)]
Tokens = Annotated[int, Field(gt=0, lt=MOST_COUNT)]
Count = Annotated[int, Field(ge=0, lt=MOST_COUNT)]
Elements = Annotated[int, Field(ge=0, le=int(MOST_SIZE))]
Year = Annotated[int, Field(ge=1900, le=2200)]

Peaks = Mapping[Literal["fp32", "fp16", "bf16", "fp8", "int8", "int4", "fp4"], Amount]


class LibraryRecord(BaseModel):
    """What every entry has in common: it cannot be changed, and takes no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(LibraryRecord):
    """Where parameters come from."""

    key: str
    title: str
    kind: str
    read: str
    authors: str = ""
    venue: str = ""
    year: Year | None = None
    url: str = ""
    commit: str = ""


_INTERVAL = re.compile(r"([\[(])\s*(-inf|-?[0-9.e+-]+)\s*,\s*(inf|-?[0-9.e+-]+)\s*([\])])")


class Bounds(LibraryRecord):
    """What a number may be.

    Attributes:
        low: least, or what it must be above where `open_low`.
        high: most, or what it must be below where `open_high`.
    """

    low: float = Field(default=0.0, allow_inf_nan=True)
    high: float = Field(default=math.inf, allow_inf_nan=True)
    open_low: bool = False
    open_high: bool = False

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the bounds that an interval names, ``(0, 1]`` for above 0 and at most 1.

        Raises:
            ValueError: the text is no interval.
        """
        match = _INTERVAL.fullmatch(text.strip())
        if match is None or float(match[2]) >= float(match[3]):
            raise ValueError(f"must be an interval such as (0, 1] or [0, inf), got {text!r}")
        return cls(low=float(match[2]), high=float(match[3]), open_low=match[1] == "(", open_high=match[4] == ")")

    def issue(self, number: float) -> str:
        """Return what a number must be where it is not, "" where it is."""
        if must := size_issue(number):
            return must
        if number < self.low or (self.open_low and number == self.low):
            return f"{'above' if self.open_low else 'at least'} {self.low:g}"
        if number > self.high or (self.open_high and number == self.high):
            return f"{'below' if self.open_high else 'at most'} {self.high:g}"
        return ""


class LibraryParameter(LibraryRecord):
    """A ranged number.

    Attributes:
        typ: what models use unless told otherwise.
        low: lower end for sensitivity, None where the source gives a single value.
        high: upper end.
        unit: last words of the key, as in ``usd_per_mm2``; "" for a pure number.
        sources: keys of the library's sources.
        year: year of the newest source.
        confidence: high (maker or primary source), medium (agreeing or quoted), low (estimate, analogy, recalled).
        note: how the parameter came about.
        bounds: what it, its range and whatever replaces it may be.
    """

    typ: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    sources: tuple[str, ...] = Field(min_length=1)
    year: int | None = None
    confidence: Literal["high", "medium", "low"]
    note: str = ""
    bounds: Bounds = Bounds()

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        for name in ("low", "typ", "high"):
            number = getattr(self, name)
            if number is not None and (must := self.bounds.issue(number)):
                raise ValueError(f"{name} must be {must}, got {number:g}")
        if self.low is not None and self.low > self.typ:
            raise ValueError(f"low must be at most typ, got low {self.low:g} and typ {self.typ:g}")
        if self.high is not None and self.high < self.typ:
            raise ValueError(f"high must be at least typ, got high {self.high:g} and typ {self.typ:g}")
        return self


class Conflict(LibraryRecord):
    """A field on which sources disagree, and the choice made."""

    field: str
    values: tuple[float | str | None, ...]
    sources: tuple[str, ...]
    chosen: float | str
    why: str


class Chip(LibraryRecord):
    """An accelerator as published; None where no trustworthy parameter exists.

    Attributes:
        node: key of the node, the nearest one where `node_note` says so.
        year: when it came out; None where not known.
        family: architecture family, by which software stacks are chosen.
        peak_tops: dense tera-operations per second by number format, 1 MAC = 2 operations.
        capacity_gib: memory that a program can use.
        capacity_printed_gb: the number on the box.
        bandwidth_gbps: peak memory bandwidth.
        second_technology: of a further memory beside that; None where it is the chip's own SRAM.
        second_capacity_gib: its capacity; None where there is no further memory.
        second_bandwidth_gbps: its peak bandwidth.
        link_gbps: chip-to-chip bandwidth one way, sum over the links of one chip.
        devices: parts (dies of a package, cores) that software sees as devices, each with a shard of its own.
        link_path: what lies between two chips, a row of ``link_paths``.
        link_axes: axes of the torus that the links form: a hop then goes along one of them; 1 for a ring or a switch.
        node_chips: chips of a server or rack that reach each other so; None where any number does.
        network_gbps: bandwidth of each chip into the network between those, one way; None where it is as usual
            (``deployment.network_gbps``).
        executions: what the arithmetic can do with stored weights.
        lut_tops: look-ups per second, 10^12, of executing codes by table; None where it does not.
        binary_tops: peak of products of single bits, tera-operations per second; None where it has none.
        unified_memory: whether the host's programs share the memory.
        idle_board: row of ``static_power.idle_board_w`` that was measured on its board, or on one with the same die.
        conflicts: fields on which sources disagree.
    """

    key: str
    name: str
    vendor: str
    year: Year | None
    family: str
    node: str | None
    node_note: str = ""
    process: str
    process_nm: Amount | None = None
    foundry: str | None = None
    die_mm2: Amount | None
    die_note: str = ""
    peak_tops: Peaks
    memory_technology: str | None
    memory_note: str = ""
    capacity_printed_gb: Amount | None = None
    capacity_gib: Amount | None
    capacity_note: str = ""
    bandwidth_gbps: Amount | None
    unified_memory: bool
    second_technology: str | None = None
    second_capacity_gib: Amount | None = None
    second_bandwidth_gbps: Amount | None = None
    sram_mib: Amount | None
    sram_note: str = ""
    tdp_w: Amount | None
    tdp_note: str = ""
    idle_board: str | None = None
    link_name: str
    link_gbps: AmountOrZero | None
    devices: Width = 1
    link_path: str = "direct"
    link_axes: Width = 1
    node_chips: Width | None = None
    network_gbps: Amount | None = None
    link_topology: str
    link_note: str = ""
    price_low_usd: Amount | None
    price_high_usd: Amount | None
    price_basis: str
    rental_usd_per_hour: Amount | None = None
    rental_basis: str = ""
    default_stack: str | None = None
    executions: tuple[ChipExecutionMode, ...] = ("dense", "dequantize")
    lut_tops: Amount | None = None
    binary_tops: Amount | None = None
    verified: bool = True
    note: str = ""
    sources: tuple[str, ...] = Field(min_length=1)
    conflicts: tuple[Conflict, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _executions_by_peaks(cls, entry: Any) -> Any:
        """Fill in what a chip can do that states nothing: narrow codes directly where it has a peak for them."""
        if not isinstance(entry, dict) or "executions" in entry or not isinstance(entry.get("peak_tops"), Mapping):
            return entry
        narrow = not set(NARROW_PEAKS).isdisjoint(entry["peak_tops"])
        return {**entry, "executions": ("dense", "direct", "dequantize") if narrow else ("dense", "dequantize")}

    @model_validator(mode="after")
    def _rental_is_dated(self) -> Self:
        if (self.rental_usd_per_hour is None) != (not self.rental_basis):
            raise ValueError("rental_usd_per_hour and rental_basis, its date and source, go together")
        return self

    @model_validator(mode="after")
    def _second_memory_is_whole(self) -> Self:
        if (self.second_capacity_gib is None) != (self.second_bandwidth_gbps is None):
            raise ValueError("second_capacity_gib and second_bandwidth_gbps go together")
        return self

    @model_validator(mode="after")
    def _rates_of_executions(self) -> Self:
        narrow = [name for name in NARROW_PEAKS if name in self.peak_tops]
        if narrow and "direct" not in self.executions:
            raise ValueError(f"executions must hold direct where peak_tops has {', '.join(narrow)}")
        for execution_mode, field in (("look_up", "lut_tops"), ("bit_plane", "binary_tops")):
            if (execution_mode in self.executions) != (getattr(self, field) is not None):
                raise ValueError(f"{field} must be given where executions hold {execution_mode} and nowhere else")
        return self


class ChipFamily(LibraryRecord):
    """An architecture family of chips; its numbers are ``chip_families.KEY``'s floor, GEMM and portable factors.

    Attributes:
        compiled: whether weights stream under a compiled schedule, instead of by issued instructions as on a GPU.
    """

    key: str
    compiled: bool = False


class Memory(LibraryRecord):
    """An off-chip memory technology; its parameters are ``memory.KEY.*``.

    Attributes:
        packaging_class: whether packages sit on the board, on an interposer beside the die, or are bonded on top of the
            die; "on_die" for none.
        package_bits: data widths of a package or stack as sold.
        package_gib: capacities of a package or stack as sold.
        read_mostly: whether writing is slow and wears it out, so that it holds weights and nothing that a step writes.
        near_operands: what units beside its banks multiply, ``int8`` or ``float16``; none where there are no units.
            Their parameters are ``near_memory.KEY.*``.
    """

    key: str
    read_mostly: bool = False
    near_operands: tuple[Annotated[str, Field(pattern=r"^(int|float)[1-9][0-9]?$")], ...] = ()
    packaging_class: Literal["board", "interposer", "on_top", "on_die"]
    package_bits: tuple[Width, ...] = Field(min_length=1)
    package_gib: tuple[Amount, ...] = Field(min_length=1)


class MemoryGrade(LibraryRecord):
    """A speed grade of a memory technology; the rate is raw, before ``effective_fraction``, and 0 on a die alone."""

    key: str
    technology: str
    gbps_per_pin: AmountOrZero


class ProcessNode(LibraryRecord):
    """A logic process node; its parameters are ``nodes.KEY.*``, its fab carbon ``carbon.TABLE.carbon_node``.

    Attributes:
        fab_grid: where the fab's power comes from, a row of ``carbon.grid_g_per_kwh``.
    """

    key: str
    foundry: str
    carbon_node: str
    fab_grid: str = "world"


class MacFormat(LibraryRecord):
    """Operands that one MAC unit multiplies in one cycle; its parameters are ``mac_n7.formats.KEY.*``.

    Attributes:
        float_weights: whether it takes floating-point numbers on the side of weights.
        float_activations: the same on the side of activations; as `float_weights` where None.
        weight_splits: narrower weights, of `weight_bits` over as many, that it multiplies at once.
    """

    key: str
    weight_bits: WholeBits
    activation_bits: WholeBits
    weight_splits: WholeBits = 1
    float_weights: bool
    float_activations: bool | None = None

    @property
    def takes_float_activations(self) -> bool:
        """Whether activations may be floating-point numbers."""
        return self.float_weights if self.float_activations is None else self.float_activations


class Stack(LibraryRecord):
    """A software stack; the head of ``stacks.yaml`` explains its parameters.

    Attributes:
        families: chip families for which it is the generic stack.
        base: stack whose parameters stand where this one gives none.
        software: patterns of the software names that it stands for, as sources print them.
        lends_to: generic stacks on whose chips software built on this generic one runs as well.
        anywhere: whether it runs on chips of every family; otherwise only on those of its generic stack.
        half_accumulation: whether its 16-bit GEMMs accumulate in 16 bits, which consumer GPUs do at twice the rate.
        quantises_head: whether its weight files keep embedding and head in the weights' format.
        sources: keys of the library's sources.
        parameters: parameters, also found as ``stacks.KEY.NAME``.
    """

    key: str
    name: str
    note: str = ""
    sources: tuple[str, ...] = Field(min_length=1)
    families: tuple[str, ...] = ()
    base: str | None = None
    software: tuple[str, ...] = ()
    lends_to: tuple[str, ...] = ()
    anywhere: bool = False
    half_accumulation: bool = False
    quantises_head: bool = False
    parameters: Mapping[str, LibraryParameter]


def _is_like(word: str, part: str) -> bool:
    """Tell whether a word of a path is like a part of a pattern; most parts stand for themselves."""
    return word == part or (not part.isidentifier() and fnmatchcase(word, part))


class Cause(LibraryRecord):
    """Why parameters vary together; its strength is the parameter ``shared_causes.KEY.correlation``.

    Attributes:
        parameters: patterns of the paths of its parameters, ``*`` for any part of a path without dots.
        per_field: whether each last word of a path has a factor of its own.
    """

    key: str
    parameters: tuple[str, ...] = Field(min_length=1)
    per_field: bool = False

    def factor_of(self, path: str) -> str | None:
        """Return the name of the factor that moves the parameter at `path`, None where this cause does not."""
        words = path.split(".")
        for pattern in self.parameters:
            parts = pattern.split(".")
            if len(parts) == len(words) and all(map(_is_like, words, parts)):
                return f"{self.key}.{words[-1]}" if self.per_field else self.key
        return None

"""The one composition: a table of designs, or chips of the library, and a workload become a `WorkloadResult`.

Machine, number formats, software stack and what is served are put together here and nowhere else, so that sweeps,
baselines, explanations and validation compute the same numbers. Nothing here judges a result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from cost_models.chip_execution import chip_execution
from cost_models.compression import stored_bits
from cost_models.cost import Economics
from cost_models.inference import infer
from cost_models.library import Chip, Library, Model, WeightFormat
from cost_models.library.models import FREE_FIELDS
from cost_models.machine import Machine
from cost_models.metrics import WorkloadResult
from cost_models.operating import Limits
from cost_models.published import chip_machine
from cost_models.quality import Damage, Quality, format_quality, perplexity
from cost_models.roofline import Formats
from cost_models.serving import Parallelism, Serving
from cost_models.silicon import default_row, design_machine, fill_defaults
from cost_models.software import Software, default_stack, software
from cost_models.storage import Storage
from cost_models.table import INACTIVE, Choice, Column, Designs, FloatArray, Number, numbers_of
from cost_models.technology import Technology


@dataclass(frozen=True)
class Workload:
    """A model and how it is used; numbers are scalars or ``(n,)`` columns.

    Attributes:
        name: what it is called.
        model: architecture in the library.
        batch: sequences served together.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        n_chips: chips that serve it together.
        parallelism: how they share the model.
        weight_format: weight format where it is not the design's.
        kv_bits: bits of a KV-cache element where they are not the design's.
        act_bits: bits of an activation in linear layers where they are not the design's.
    """

    name: str
    model: str
    batch: Number = 1.0
    prompt_tokens: Number = 1024.0
    output_tokens: Number = 1024.0
    n_chips: Number = 1.0
    parallelism: Parallelism = "tensor"
    weight_format: str | None = None
    kv_bits: float | None = None
    act_bits: float | None = None


@dataclass(frozen=True)
class ChipSetup:
    """A chip of the library and how it is run.

    Attributes:
        chip: key of the chip, or a chip like one of the library.
        weight_format: how weights are stored.
        kv_bits: bits of a KV-cache element.
        act_bits: bits of an activation in linear layers.
        weight_execution: how the chip works through stored weights; its own way where None.
        stack: software stack; the generic one of the chip's family where None.
    """

    chip: str | Chip
    weight_format: str = "bf16"
    kv_bits: float = 16.0
    act_bits: float = 16.0
    weight_execution: str | None = None
    stack: str | None = None

    def entry(self, library: Library) -> Chip:
        """Return the chip.

        Raises:
            UnknownEntryError: the library has no such chip.
        """
        return library.chip(self.chip) if isinstance(self.chip, str) else self.chip

    def stack_name(self, library: Library) -> str:
        """Return the stack, the default named."""
        return self.stack or default_stack(self.entry(library), library)


def designs_machine(designs: Designs, technology: Technology, economics: Economics) -> Machine:
    """Return the Machine of each design; missing parameters take their defaults."""
    columns = fill_defaults(designs)
    return design_machine(columns, technology, economics=economics, stored_bits=body_bits(columns, technology.library))


def serve_designs(
    designs: Designs,
    workload: Workload,
    technology: Technology,
    economics: Economics,
    *,
    machine: Machine | None = None,
    limits: Limits | None = None,
) -> WorkloadResult:
    """Return a workload on the machines of designs.

    Args:
        designs: table of parameters; missing ones take their defaults.
        workload: what is served, with the formats that it sets for itself.
        technology: figures.
        economics: business terms.
        machine: the machines of the designs, where they have been worked out already.
        limits: what users are promised, where the largest batch that keeps it is wanted.
    """
    columns = fill_defaults(designs)
    own = own_formats(workload, columns)
    if own:
        columns = {**columns, **own}
    if own or machine is None:
        machine = designs_machine(columns, technology, economics)
    return _served(columns, workload, machine, technology, limits)


def serve_chip(
    setup: ChipSetup, workload: Workload, technology: Technology, *, limits: Limits | None = None
) -> WorkloadResult:
    """Return a workload on chips of the library, or like it, in the formats of the setup.

    Weights are executed in the chip's own way (`cost_models.chip_execution`) unless the setup names another;
    where software widens them, the stack says what that takes.

    Args:
        setup: the chip and how it is run.
        workload: what is served; formats that it sets for itself are those of designs, and do not hold here.
        technology: figures.
        limits: what users are promised, where the largest batch that keeps it is wanted.

    Raises:
        UnknownEntryError: the library has no such chip, model, format or stack.
        ExecutionError: the chip cannot execute the format so.
    """
    library = technology.library
    entry, form = setup.entry(library), library.weight_format(setup.weight_format)
    way = chip_execution(entry, form, act_bits=setup.act_bits, chosen=setup.weight_execution)
    columns: dict[str, Column] = {
        "weight_format": Choice.of(setup.weight_format),
        "operand_bits": np.array([way.operand_bits]),
        "unpacked": np.array([float(way.widens)]),
        "weight_method": _inactive(),
        "kv_bits": np.array([float(setup.kv_bits)]),
        "act_bits": np.array([float(setup.act_bits)]),
        "stack": Choice.of(setup.stack_name(library)),
        "family": Choice.of(entry.family),
    }
    machine = chip_machine(
        entry,
        weight_format=form,
        act_bits=setup.act_bits,
        kv_bits=setup.kv_bits,
        technology=technology,
        weight_execution=setup.weight_execution,
    )
    return _served(columns, workload, machine, technology, limits)


def own_formats(workload: Workload, columns: Designs) -> dict[str, Column]:
    """Return the number formats that a workload sets for itself, as columns."""
    own: dict[str, Column] = {
        key: np.array([float(value)])
        for key in ("kv_bits", "act_bits")
        if (value := getattr(workload, key)) is not None
    }
    if workload.weight_format is not None:
        # What the design sets of its own format does not carry over to another one.
        own |= {name: np.array([np.nan]) for name in FREE_FIELDS if name in columns}
        own["weight_format"] = Choice.of(workload.weight_format)
        own["weight_execution"] = default_row("weight_execution")
    return own


def body_bits(columns: Designs, library: Library) -> FloatArray:
    """Return stored bits per body weight of each row, metadata included."""
    return _of_format(columns, library, stored_bits)


def _served(
    columns: Designs, workload: Workload, machine: Machine, technology: Technology, limits: Limits | None
) -> WorkloadResult:
    """Return a workload on machines, in the number formats and with the stack of each row of `columns`."""
    serving, formats = _serving(workload, technology), _formats(columns, technology)
    chunk = technology.value("serving.prefill_chunk_tokens")
    inference = infer(serving, machine, _software(columns, technology), formats, chunk_tokens=chunk)
    quality = partial(_quality, serving.model, columns, technology)
    return WorkloadResult(workload.name, serving, machine, formats, inference, quality, limits)


def _serving(workload: Workload, technology: Technology) -> Serving:
    chips, one = np.atleast_1d(np.asarray(workload.n_chips, dtype=np.float64)), np.array([1.0])
    tensor = workload.parallelism == "tensor"
    return Serving(
        model=technology.library.model(workload.model),
        batch=_column(workload.batch),
        prompt_tokens=_column(workload.prompt_tokens),
        output_tokens=_column(workload.output_tokens),
        tensor_parallel=chips if tensor else one,
        stages=one if tensor else chips,
        parallelism=workload.parallelism,
        expert_spread=technology.value("serving.expert_spread"),
    )


def _formats(columns: Designs, technology: Technology) -> Formats:
    return Formats(
        weight_bits=body_bits(columns, technology.library),
        head_bits=_of_format(columns, technology.library, lambda form: form.head_bits),
        kv_bits=numbers_of(columns["kv_bits"]),
        activation_bits=technology.value("serving.activation_bits"),
        operand_bits=numbers_of(columns["operand_bits"]) if "operand_bits" in columns else 16.0,
        unpacked=numbers_of(columns["unpacked"]) if "unpacked" in columns else 0.0,
    )


def _software(columns: Designs, technology: Technology) -> Software:
    """Return the stack of each row; one that holds for all rows is looked up once."""
    stack, family = cast("Choice", columns["stack"]), cast("Choice | None", columns.get("family"))
    if len(stack) > 1 or family is not None:
        return software(stack, technology, family)
    return technology.once(("software", tuple(stack.names())), lambda: software(stack, technology))


def _quality(model: Model, columns: Designs, technology: Technology) -> Quality:
    """Return perplexity ratios; one look at the fits per pair of format and method."""
    storage, method = Storage.of(columns, technology.library), cast("Choice", columns["weight_method"])
    methods = (*method.values, "")
    if storage.given:
        table = _damages(model, storage.forms, methods, technology)
    else:
        key = ("quality", model.key, storage.formats.values, methods)
        table = technology.once(key, lambda: _damages(model, storage.forms, methods, technology))
    method_codes = np.where(method.codes == INACTIVE, len(method.values), method.codes)
    names = tuple(f"{entry}+{m}" for entry in storage.formats.values for m in methods)
    pair = Choice(names, storage.formats.codes * len(methods) + method_codes)
    damage = Damage(*(pair.gather(field) for field in zip(*table, strict=True)))
    return perplexity(damage, numbers_of(columns["kv_bits"]), model, technology)


def _damages(
    model: Model, forms: tuple[WeightFormat, ...], methods: tuple[str, ...], technology: Technology
) -> list[Damage]:
    """Return what each pair of format and method costs; the format's own method where that is empty."""
    return [format_quality(model, entry, method or entry.method, technology) for entry in forms for method in methods]


def _of_format(columns: Designs, library: Library, function: Callable[[WeightFormat], Number]) -> FloatArray:
    return Storage.of(columns, library).map(function)


def _inactive() -> Choice:
    return Choice((), np.array([INACTIVE], dtype=np.intp))


def _column(number: Number) -> FloatArray:
    return np.atleast_1d(np.asarray(number, dtype=np.float64))

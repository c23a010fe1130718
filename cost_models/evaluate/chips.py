"""Chips of the library, how they are run, and the machines and number formats that follow."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cost_models.evaluate.number_formats import number_formats
from cost_models.library import Chip, Library, Model
from cost_models.library.technology import Technology
from cost_models.performance.serving_stack import default_stack
from cost_models.silicon.chip import chip_machine
from cost_models.silicon.machine import Machine
from cost_models.table import INACTIVE, Choice, Column, Designs
from cost_models.weights.chip_execution import ChipExecution, chip_execution
from cost_models.workload.formats import Formats, unpacking

WIDE_FORMAT = "bf16"
"""How weights are stored where nobody says it: as models are trained."""


@dataclass(frozen=True)
class ChipSetup:
    """A chip of the library and how it is run.

    Attributes:
        chip: key of the chip, or a chip like one of the library.
        weight_format: how weights are stored; where None, as the model's maker publishes them, else at 16 bits.
        expert_format: how routed experts are stored; where None, as the model's maker publishes them if that is
            narrower than `weight_format`, and else like all weights.
        stored_bits: mean stored bits per weight of the whole file, where they are not those of the formats.
        kv_bits: bits of a KV-cache element.
        act_bits: bits of an activation in linear layers.
        weight_execution: how the chip works through stored weights; its own way where None.
        serving_stack: serving software; the generic one of the chip's family where None.
    """

    chip: str | Chip
    weight_format: str | None = None
    expert_format: str | None = None
    stored_bits: float | None = None
    kv_bits: float = 16.0
    act_bits: float = 16.0
    weight_execution: str | None = None
    serving_stack: str | None = None

    def entry(self, library: Library) -> Chip:
        """Return the chip.

        Raises:
            UnknownEntryError: the library has no such chip.
        """
        return library.chip(self.chip) if isinstance(self.chip, str) else self.chip

    @property
    def format_words(self) -> str:
        """Name of the weight format, or what is taken where none is named."""
        return self.weight_format or f"{WIDE_FORMAT} or as published"

    def named(self, model: Model | None) -> ChipSetup:
        """Return the same with its formats named: those of the model's maker where the setup leaves them open."""
        if self.weight_format is not None:
            return self
        if model is None or model.weight_format is None:
            return replace(self, weight_format=WIDE_FORMAT)
        experts = self.expert_format or (model.expert_format if model.moe is not None else None)
        return replace(self, weight_format=model.weight_format, expert_format=experts)

    def serving_stack_name(self, library: Library) -> str:
        """Return the stack, the default named."""
        return self.serving_stack or default_stack(self.entry(library), library)


def chip_columns(setups: Sequence[ChipSetup], library: Library) -> dict[str, Column]:
    """Return number formats and stack of chips as columns, one row per setup; formats must be named."""
    stored = np.array([np.nan if one.stored_bits is None else float(one.stored_bits) for one in setups])
    experts = {one.expert_format for one in setups} - {None}
    names = [one.expert_format for one in setups]
    known = tuple(sorted(name for name in experts if name is not None))
    codes = np.array([INACTIVE if name is None else known.index(name) for name in names], dtype=np.intp)
    return {
        "weight_format": Choice.of(*(str(one.weight_format) for one in setups)),
        "expert_format": Choice(known, codes),
        "stored_bits": stored,
        "weight_method": Choice((), np.full(len(setups), INACTIVE, dtype=np.intp)),
        "kv_bits": np.array([float(one.kv_bits) for one in setups]),
        "act_bits": np.array([float(one.act_bits) for one in setups]),
        "serving_stack": Choice.of(*(one.serving_stack_name(library) for one in setups)),
        "family": Choice.of(*(one.entry(library).family for one in setups)),
        **{
            name: np.array([getattr(one.entry(library), name) or np.nan for one in setups], dtype=np.float64)
            for name in ("node_chips", "network_gbps")
        },
    }


def chip_formats(
    setups: Sequence[ChipSetup], columns: Designs, technology: Technology, model: Model | None = None
) -> tuple[Machine, Formats]:
    """Return machines and number formats of chips, one row per setup.

    Arithmetic runs in the format that holds most weights: that of routed experts, where they have one of their own.

    Args:
        setups: chips and how they are run.
        columns: the same, from `chip_columns`.
        technology: parameters.
        model: what they serve; None where it has no part, as for single kernels.
    """
    library, formats = technology.library, number_formats(columns, technology, model)
    body, expert = (np.broadcast_to(bits, (len(setups),)) for bits in (formats.weight_bits, formats.stored_expert_bits))
    stored = np.minimum(body, expert)
    native = None if model is None else model.expert_format
    routed = model is not None and model.moe is not None
    made: dict[Hashable, tuple[Machine, ChipExecution]] = {}
    places: dict[Hashable, int] = {}
    index = np.empty(len(setups), dtype=np.intp)
    for row, setup in enumerate(setups):
        entry, name, bits = setup.entry(library), str(setup.weight_format), float(stored[row])
        half = library.stack(setup.serving_stack_name(library)).half_accumulation
        if setup.weight_execution is not None:
            # The execution asked for is that of the named format.
            bits = float(body[row])
        elif routed and (setup.expert_format or expert[row] < body[row]):
            name = setup.expert_format or native or name
        key = (id(entry), name, setup.act_bits, setup.kv_bits, setup.weight_execution, half, bits)
        index[row] = places.setdefault(key, len(places))
        if key not in made:
            form = library.weight_format(name)
            execution_mode = chip_execution(
                entry, form, act_bits=setup.act_bits, chosen=setup.weight_execution, stored=bits
            )
            machine = chip_machine(
                entry,
                weight_format=form,
                act_bits=setup.act_bits,
                kv_bits=setup.kv_bits,
                technology=technology,
                weight_execution=setup.weight_execution,
                stored=bits,
                half_accumulation=half,
            )
            made[key] = machine, execution_mode
    machines, ways = zip(*made.values(), strict=True)
    formats = replace(
        formats,
        operand_bits=np.array([execution_mode.operand_bits for execution_mode in ways])[index],
        dequantized=np.array([float(execution_mode.dequantizes) for execution_mode in ways])[index] * unpacking(stored),
        scaled_blocks=np.array([float(execution_mode.scales_blocks) for execution_mode in ways])[index],
    )
    return Machine.of_rows(machines, index), formats

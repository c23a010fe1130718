"""Software stacks: how close real kernels come to the machine they run on.

Every parameter is a figure of the library (``stacks.NAME.parameter``), so it has a range and a source, and
can be swept or drawn like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from cost_models.columns import Choice, FloatArray
from cost_models.library import Chip, load_library
from cost_models.technology import Technology


@dataclass(frozen=True)
class Software:
    """A stack's parameters per row, ``(n,)`` each; meanings stand at the head of ``stacks.yaml``."""

    stream_share: FloatArray
    attention_stream_share: FloatArray
    mac_share: FloatArray
    attention_mac_share: FloatArray
    tile_rows: FloatArray
    kernel_s: FloatArray
    step_s: FloatArray
    collective_base_s: FloatArray
    collective_hop_s: FloatArray
    collective_share: FloatArray


def software(stack: Choice, technology: Technology) -> Software:
    """Return the parameters of the stack that each row has chosen."""
    return Software(**{field.name: technology.of("stacks", stack, field.name) for field in fields(Software)})


def default_stack(chip: Chip) -> str:
    """Return the key of the generic stack for a library chip's family.

    Raises:
        LibraryError: no stack lists the family.
    """
    return load_library().stack_for_family(chip.family).key

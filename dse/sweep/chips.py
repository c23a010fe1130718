"""Chips of the library in a sweep: baselines, and pools that prefill or decode."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from cost_models.evaluate.chips import ChipSetup
from cost_models.workload.serving import Layout
from dse.plain import members
from dse.sweep.fields import POOL, Bandwidth, Batch, Chips, Counted, Measured, Named, ParallelismName, StoredBits
from dse.sweep.records import SweepRecord
from dse.sweep.workloads import WorkloadSpec


class ChipsSpec(SweepRecord):
    """Chips of the library and how they are run.

    Attributes:
        chips: how many of which chip, ``2x a100_80gb_sxm``.
        weight_format: how weights are stored; as a model's maker publishes them where not given, else at 16 bits.
        kv_bits: bits of the KV cache.
        act_bits: bits of the activations.
        weight_execution: how the chip works through stored weights; its own way where not given.
        serving_stack: serving software; the chip's own where not given.
        expert_format: how routed experts are stored; as their maker publishes them where that is narrower.
        stored_bits: mean stored bits per weight of the whole file, where they are not those of the formats.
        parallelism: how the chips share the model, where it is not as the workload says.
    """

    chips: Chips
    weight_format: Named | None = None
    kv_bits: Measured = 16.0
    act_bits: Measured = 16.0
    weight_execution: Named | None = None
    serving_stack: Named | None = None
    expert_format: Named | None = None
    stored_bits: StoredBits | None = None
    parallelism: ParallelismName | None = None

    @property
    def count(self) -> int:
        """Number of chips."""
        return int(self.chips.partition("x ")[0])

    @property
    def chip(self) -> str:
        """Name of the chip in the library."""
        return self.chips.partition("x ")[2]

    @property
    def setup(self) -> ChipSetup:
        """The chip and how it is run, as the models take it."""
        return ChipSetup(**members(self, *(field.name for field in fields(ChipSetup))))

    @property
    def words(self) -> str:
        """What they are, in one line."""
        further = "".join(f", {one}" for one in (self.weight_execution, self.serving_stack, self.parallelism) if one)
        experts = f", experts {self.expert_format}" if self.expert_format else ""
        stored = f", {self.stored_bits:g} bits per weight" if self.stored_bits else ""
        return f"{self.chips}, {self.setup.format_words}{experts}{stored}, KV {self.kv_bits:g} bit{further}"

    def layout(self, workload: WorkloadSpec) -> Layout:
        """Return how the chips share the model of a workload."""
        return Layout.of(self.parallelism or workload.parallelism, float(self.count))


class BaselineSpec(ChipsSpec):
    """Chips of the library that serve the same workloads by the same equations.

    Attributes:
        batch: batch of every workload on this baseline where it is not the workload's.
        prefill: chips that prefill for them, so that they only decode; None where they do both.
        node_chips: chips of a server or rack that reach each other by links of their own; where not given as the
            workload says, else the chip's entry.
        network_gbps: bandwidth of each chip to other nodes and to the other pool, one way; where not given as the
            workload says, else the chip's entry, else ``deployment.network_gbps``.
    """

    batch: Batch | None = None
    prefill: Annotated[ChipsSpec | None, POOL] = None
    node_chips: Counted | None = None
    network_gbps: Bandwidth | None = None

    @property
    def words(self) -> str:
        """What they are, in one line."""
        return super().words if self.prefill is None else f"{super().words}; prompts by {self.prefill.words}"


class DeploymentSpec(SweepRecord):
    """Which chips prefill and which decode; None stands for the design that the space describes.

    Attributes:
        prefill: chips that prefill.
        decode: chips that decode.
        network_gbps: bandwidth of each chip to the other pool, one way; ``deployment.network_gbps`` where not given.
    """

    prefill: Annotated[ChipsSpec | None, POOL] = None
    decode: Annotated[ChipsSpec | None, POOL] = None
    network_gbps: Bandwidth | None = None

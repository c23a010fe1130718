"""A workload on machines: the results of designs and of chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cost_models.evaluate.chips import ChipSetup, chip_columns, chip_formats
from cost_models.evaluate.number_formats import body_bits, number_formats, own_formats, software_of
from cost_models.evaluate.quality import quality_of, worse_of
from cost_models.evaluate.workload import Workload, serving_config
from cost_models.library.technology import Technology
from cost_models.performance.batching import CONTINUOUS, batched
from cost_models.performance.continuous import Continuous
from cost_models.performance.conversations import Conversations
from cost_models.performance.disaggregation import Disaggregated, Network, PrefillPool
from cost_models.performance.inference import Inference
from cost_models.performance.operating_point import Slo
from cost_models.performance.serving_stack import Software
from cost_models.performance.workload_result import WorkloadResult
from cost_models.silicon.cost import Economics
from cost_models.silicon.defaults import FilledDesigns, fill_defaults
from cost_models.silicon.design import design_machine
from cost_models.silicon.machine import Machine, Nodes
from cost_models.table import Designs, FloatArray, as_column, numbers_of
from cost_models.tape import asarray
from cost_models.workload.formats import Formats


@dataclass(frozen=True)
class Prefill:
    """What prefills a workload in the place of the chips that decode it (`cost_models.performance.disaggregation`).

    Attributes:
        served: the workload as `prompts_of` makes it, on a group of the pool.
        network: between the pools.
    """

    served: WorkloadResult
    network: Network


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
    limits: Slo | None = None,
    prefill: Prefill | None = None,
) -> WorkloadResult:
    """Return a workload on the machines of designs.

    Args:
        designs: table of parameters; missing ones take their defaults.
        workload: what is served, with the formats that it sets for itself.
        technology: parameters.
        economics: business terms.
        machine: the machines of the designs, where they have been worked out already.
        limits: what users are promised, where the largest batch that keeps it is wanted.
        prefill: what prefills in their place, where they only decode.
    """
    columns = fill_defaults(designs)
    own = own_formats(workload, columns)
    if own:
        columns = FilledDesigns({**columns, **own})
    if own or machine is None:
        machine = designs_machine(columns, technology, economics)
    formats = number_formats(columns, technology, technology.library.model(workload.model))
    return _served(columns, workload, machine, formats, technology, limits, prefill)


def serve_chips(
    setups: Sequence[ChipSetup],
    workload: Workload,
    technology: Technology,
    *,
    limits: Slo | None = None,
    prefill: Prefill | None = None,
) -> WorkloadResult:
    """Return a workload on chips of the library, or like it, one row per setup.

    Weights are executed in the chip's own way (`cost_models.weights.chip_execution`) unless the setup names another;
    where software dequantizes them, the stack says what that takes.

    Args:
        setups: chips and how they are run.
        workload: what is served; formats that it sets for itself are those of designs, and do not hold here.
        technology: parameters.
        limits: what users are promised, where the largest batch that keeps it is wanted.
        prefill: what prefills in their place, where they only decode.

    Raises:
        UnknownEntryError: the library has no such chip, model, format or stack.
        ExecutionError: the chip cannot execute the format so.
    """
    model = technology.library.model(workload.model)
    setups = [setup.named(model) for setup in setups]
    columns = chip_columns(setups, technology.library)
    machine, formats = chip_formats(setups, columns, technology, model)
    return _served(columns, workload, machine, formats, technology, limits, prefill)


def serve_chip(
    setup: ChipSetup,
    workload: Workload,
    technology: Technology,
    *,
    limits: Slo | None = None,
    prefill: Prefill | None = None,
) -> WorkloadResult:
    """Return a workload on one kind of chip (arguments as in `serve_chips`)."""
    return serve_chips((setup,), workload, technology, limits=limits, prefill=prefill)


def run_kernels(setups: Sequence[ChipSetup], technology: Technology) -> tuple[Machine, Software, Formats]:
    """Return what runs single kernels on chips of the library, one row per setup: machines, stacks and formats."""
    setups = [setup.named(None) for setup in setups]
    columns = chip_columns(setups, technology.library)
    machine, formats = chip_formats(setups, columns, technology)
    return machine, software_of(columns, technology), formats


def _served(
    columns: Designs,
    workload: Workload,
    machine: Machine,
    formats: Formats,
    technology: Technology,
    limits: Slo | None,
    prefill: Prefill | None,
) -> WorkloadResult:
    """Return a workload on machines, in the number formats and with the stack of each row of `columns`."""
    stack, nodes = software_of(columns, technology), _nodes(columns, workload, technology)
    if nodes is not None:
        machine = replace(machine, nodes=nodes)
    told = asarray(workload.chunk_rows, dtype=np.float64)
    if not np.isnan(told).all():
        stack = replace(stack, chunk_rows=np.where(np.isnan(told), stack.chunk_rows, np.maximum(told, 1.0)))
    quality = partial(quality_of, technology.library.model(workload.model), columns, technology)
    if isinstance(workload.batching, str) and workload.batching == CONTINUOUS:
        single = serving_config(replace(workload, batch=1.0), technology)
        planned, slo = Inference(single, machine, stack, formats), limits or Slo()
        kind = Continuous if single.sessions is None else Conversations
        users: Continuous | Disaggregated = kind(planned, workload.traffic, slo)
        if prefill is not None:
            most = technology.value("deployment.most_utilisation")
            pool = PrefillPool(prefill.served.planned, prefill.network, most)
            users = Disaggregated(planned, workload.traffic, slo, pool)
            quality = partial(worse_of, quality, prefill.served)
        return WorkloadResult(workload.name, machine, formats, planned, quality, limits, users)
    serving, waves = batched(
        serving_config(workload, technology), machine, formats, workload.batching,
        chunk_rows=stack.chunk_rows, technology=technology,
    )  # fmt: skip
    inference = Inference(
        serving,
        machine,
        stack,
        formats,
        waves=waves,
        in_flight=asarray(asarray(workload.batching) == "in_flight", dtype=np.float64),
    )
    return WorkloadResult(workload.name, machine, formats, inference, quality, limits)


def _nodes(columns: Designs, workload: Workload, technology: Technology) -> Nodes | None:
    """Return how the chips of a workload are spread over servers; None where those of every row are in one."""
    told = {
        name: _or(as_column(getattr(workload, name)), numbers_of(columns.get(name, np.array([np.nan]))))
        for name in ("node_chips", "network_gbps")
    }
    chips = _or(told["node_chips"], np.array([np.inf]))
    if (asarray(workload.layout.chips) <= chips).all():
        return None
    network = Network.of(
        technology, gbps=_or(told["network_gbps"], as_column(technology.value("deployment.network_gbps")))
    )
    return Nodes(
        chips=chips,
        bytes_per_s=as_column(network.bytes_per_s),
        added_s=as_column(technology.value("link_paths.network.added_s")),
        hop_s=as_column(technology.value("link_paths.network.hop_s")),
        usd_per_chip=as_column(network.usd_per_chip),
        w_per_chip=as_column(network.w_per_chip),
    )


def _or(column: FloatArray, other: FloatArray) -> FloatArray:
    """Return a column with another one's values where it has none."""
    return np.where(np.isnan(column), other, column)

"""The one composition: a table of designs, or chips of the library, and a workload become a `WorkloadResult`.

Machine, number formats, software stack and what is served are put together here and nowhere else, so that sweeps,
baselines, explanations and validation compute the same numbers. Nothing here judges a result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cost_models.library import Chip, Library, Model, WeightFormat
from cost_models.library.models import FREE_FIELDS
from cost_models.library.technology import Technology
from cost_models.performance.batching import CONTINUOUS, batched
from cost_models.performance.continuous import Continuous
from cost_models.performance.disaggregation import Disaggregated, Network, PrefillPool
from cost_models.performance.inference import Inference
from cost_models.performance.metrics import WorkloadResult
from cost_models.performance.operating_point import Slo
from cost_models.performance.serving_queue import Traffic
from cost_models.performance.serving_stack import Software, default_stack, software
from cost_models.silicon.chip import chip_machine
from cost_models.silicon.cost import Economics
from cost_models.silicon.defaults import FilledDesigns, default_row, fill_defaults
from cost_models.silicon.design import design_machine
from cost_models.silicon.machine import Machine
from cost_models.table import INACTIVE, Choice, Column, Designs, FloatArray, Number, numbers_of
from cost_models.weights.activations import ROTATED, act_methods, is_method, narrow
from cost_models.weights.chip_execution import SLACK_BITS, WIDE_BITS, ChipExecution, chip_execution
from cost_models.weights.compression import stored_bits
from cost_models.weights.quality import Damage, Quality, activation_quality, format_quality, perplexity
from cost_models.weights.weight_storage import Storage
from cost_models.workload.formats import Formats, unpacking
from cost_models.workload.param_count import expert_fraction
from cost_models.workload.serving import Layout, ServingConfig
from cost_models.workload.speculation import MTP, NGRAM, Speculation, mtp_module

WIDE_FORMAT = "bf16"
"""How weights are stored where nobody says it: as models are trained."""


@dataclass(frozen=True)
class Drafting:
    """How a workload drafts tokens (`cost_models.workload.speculation`).

    Attributes:
        draft_tokens: tokens that are drafted per step.
        acceptance: chance that a drafted token is accepted.
        draft: a model of the library, "mtp" for a further layer of the model itself, or "ngram" for copies of what was
            said before.
    """

    draft_tokens: Number
    acceptance: Number
    draft: str

    def of(self, model: Model, library: Library) -> Speculation:
        """Return the same with the draft as a model."""
        numbers = _column(self.draft_tokens), _column(self.acceptance)
        if self.draft == NGRAM:
            return Speculation(*numbers)
        if self.draft == MTP:
            return Speculation(*numbers, mtp_module(model), shares_vocabulary=True)
        return Speculation(*numbers, library.model(self.draft))


@dataclass(frozen=True)
class Workload:
    """A model and how it is used; numbers are scalars or ``(n,)`` columns.

    Attributes:
        name: what it is called.
        model: architecture in the library.
        batch: sequences that all chips serve together; where NaN, the most that their memory holds.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        prefix_cached: what of a prompt is a cached prefix: a share up to 1, tokens above 1; none where NaN.
        n_chips: chips that serve it together, where `parallelism` is a kind.
        parallelism: how they share the model: a kind, or numbers of chips (`cost_models.workload.serving.Layout`).
        batching: one of `cost_models.performance.batching.BATCHINGS`, or one per row.
        traffic: how requests come where `batching` is "continuous"; the batch has no part in it then.
        drafting: how tokens are drafted; None where the model decodes alone.
        chunk_rows: most tokens that a prefill takes together; as the stack does it where NaN.
        same_prompts: 1 where all sequences have one text, and so choose the same experts.
        expert_spread: exponent by which tokens choose experts (`ServingConfig`); parameter ``serving.expert_spread``,
            of requests in flight ``serving.served_expert_spread``,
            where NaN.
        weight_format: weight format where it is not the design's.
        expert_format: format of routed experts where it is not the design's.
        kv_bits: bits of a KV-cache element where they are not the design's.
        act_bits: bits of an activation in linear layers where they are not the design's.
    """

    name: str
    model: str
    batch: Number = 1.0
    prompt_tokens: Number = 1024.0
    output_tokens: Number = 1024.0
    prefix_cached: Number = np.nan
    n_chips: Number = 1.0
    parallelism: str | Layout = "tensor"
    batching: str | NDArray[np.object_] = "static"
    traffic: Traffic = field(default_factory=Traffic)
    drafting: Drafting | None = None
    chunk_rows: Number = np.nan
    same_prompts: Number = 0.0
    expert_spread: Number = np.nan
    weight_format: str | None = None
    expert_format: str | None = None
    kv_bits: float | None = None
    act_bits: float | None = None

    @property
    def layout(self) -> Layout:
        """How chips share the model."""
        return self.parallelism if isinstance(self.parallelism, Layout) else Layout.of(self.parallelism, self.n_chips)


@dataclass(frozen=True)
class Prefill:
    """What prefills a workload in the place of the chips that decode it (`cost_models.performance.disaggregation`).

    Attributes:
        served: the workload as `prompts_of` makes it, on a group of the pool.
        network: between the pools.
    """

    served: WorkloadResult
    network: Network


def prompts_of(workload: Workload, layout: str | Layout) -> Workload:
    """Return the prompts of a workload, one at a time, on chips that share the model so."""
    return replace(workload, batching="in_flight", batch=1.0, parallelism=layout)


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
        limits: what users are slo_of, where the largest batch that keeps it is wanted.
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
        limits: what users are slo_of, where the largest batch that keeps it is wanted.
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
    )
    return Machine.of_rows(machines, index), formats


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
        own["expert_format"] = default_row("expert_format")
        own["weight_format"] = Choice.of(workload.weight_format)
        own["weight_execution"] = default_row("weight_execution")
    if workload.expert_format is not None:
        own["expert_format"] = Choice.of(workload.expert_format)
    return own


def body_bits(columns: Designs, library: Library) -> FloatArray:
    """Return stored bits per body weight of each row, metadata included."""
    return _of_format(columns, library, stored_bits)


def run_kernels(setups: Sequence[ChipSetup], technology: Technology) -> tuple[Machine, Software, Formats]:
    """Return what runs single kernels on chips of the library, one row per setup: machines, stacks and formats."""
    setups = [setup.named(None) for setup in setups]
    columns = chip_columns(setups, technology.library)
    machine, formats = chip_formats(setups, columns, technology)
    return machine, _software(columns, technology), formats


def number_formats(columns: Designs, technology: Technology, model: Model | None = None) -> Formats:
    """Return the stored bits of everything that moves, per row of `columns`.

    Args:
        columns: number formats and stack, of designs or of chips.
        technology: parameters.
        model: what is served; None where it has no part.
    """
    library = technology.library
    named, head = body_bits(columns, library), _of_format(columns, library, lambda form: form.head_bits)
    body, expert = _mixed_bits(named, columns, model, library)
    stack = cast("Choice", columns["serving_stack"])
    if any(library.stack(name).quantises_head for name in stack.values):
        whole = stack.map(lambda name: float(library.stack(name).quantises_head)) > 0
        head = np.where(whole & (head >= WIDE_BITS), body, head)
    act_bits, kernels = numbers_of(columns["act_bits"]), _software(columns, technology)
    methods = act_methods(columns, Storage.of(columns, library))
    return Formats(
        weight_bits=body,
        head_bits=head,
        kv_bits=numbers_of(columns["kv_bits"]),
        activation_bits=np.maximum(act_bits, kernels.least_activation_bits),
        expert_bits=expert,
        wide_bits=technology.value("serving.activation_bits"),
        reduced_bits=np.maximum(act_bits, kernels.least_reduced_bits),
        rotated=is_method(methods, ROTATED) * narrow(act_bits, technology),
    )


def _mixed_bits(
    named: FloatArray, columns: Designs, model: Model | None, library: Library
) -> tuple[FloatArray, FloatArray | None]:
    """Return stored bits of body weights and of routed experts; None where those are like the others.

    Experts have the format that is named for them, else the one that the model's maker publishes where it is narrower.
    A mean over the whole file says what experts of such a format leave for the other weights, 16 bits at most; a mean
    beyond that says that experts are stored like the others.
    """
    mean = numbers_of(columns["stored_bits"]) if "stored_bits" in columns else np.array([np.nan])
    given = ~np.isnan(mean)
    plain = np.where(given, mean, named) if given.any() else named
    chosen = cast("Choice | None", columns.get("expert_format"))
    requested = chosen is not None and bool((chosen.codes != INACTIVE).any())
    if model is None or model.moe is None or not (requested or model.expert_format):
        return plain, None
    native = np.array([np.inf])
    if model.expert_format is not None:
        native = np.atleast_1d(stored_bits(library.weight_format(model.expert_format)))
    reported = np.array([np.nan])
    if requested and chosen is not None:
        reported = chosen.map(lambda name: stored_bits(library.weight_format(name)))
    expert = np.where(np.isnan(reported), np.minimum(native, named), reported)
    if not given.any():
        return named, expert
    own = np.where(np.isnan(reported), native, reported)
    least, share = np.where(np.isfinite(own), own, WIDE_BITS), expert_fraction(model)
    kept = given & np.isfinite(own) & (mean <= share * least + (1 - share) * WIDE_BITS + SLACK_BITS)
    rest = np.clip((mean - share * least) / (1 - share), least, WIDE_BITS)
    return np.where(kept, rest, plain), np.where(kept, least, np.where(given, mean, expert))


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
    stack = _software(columns, technology)
    told = np.asarray(workload.chunk_rows, dtype=np.float64)
    if not np.isnan(told).all():
        stack = replace(stack, chunk_rows=np.where(np.isnan(told), stack.chunk_rows, np.maximum(told, 1.0)))
    quality = partial(_quality, technology.library.model(workload.model), columns, technology)
    if isinstance(workload.batching, str) and workload.batching == CONTINUOUS:
        single = serving_config(replace(workload, batch=1.0), technology)
        planned, slo = Inference(single, machine, stack, formats), limits or Slo()
        users: Continuous | Disaggregated = Continuous(planned, workload.traffic, slo)
        if prefill is not None:
            most = technology.value("deployment.most_utilisation")
            pool = PrefillPool(prefill.served.planned, prefill.network, most)
            users = Disaggregated(planned, workload.traffic, slo, pool)
            quality = partial(_worse, quality, prefill.served)
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
        in_flight=np.asarray(np.asarray(workload.batching) == "in_flight", dtype=np.float64),
    )
    return WorkloadResult(workload.name, machine, formats, inference, quality, limits)


def serving_config(workload: Workload, technology: Technology) -> ServingConfig:
    """Return how a workload is served: model, lengths, sharing, how tokens choose experts; ``(n,)`` or ``(1,)``."""
    layout, batch = workload.layout, _column(workload.batch)
    if np.any(np.asarray(layout.replicas) > 1):
        # A pass serves the sequences of one replica.
        batch = np.maximum(batch / layout.replicas, 1.0)
    spread: Number = technology.value("serving.expert_spread")
    flying = np.isin(np.asarray(workload.batching), ("in_flight", CONTINUOUS))
    if flying.any():
        spread = np.where(flying, technology.value("serving.served_expert_spread"), spread)
    reported, same = np.asarray(workload.expert_spread, dtype=np.float64), np.asarray(workload.same_prompts)
    if not np.isnan(reported).all():
        spread = np.where(np.isnan(reported), spread, reported)
    model = technology.library.model(workload.model)
    told = _column(workload.prefix_cached)
    prefix: Number = 0.0
    if not np.isnan(told).all() and not model.encoder:
        prompt = np.asarray(workload.prompt_tokens, dtype=np.float64)
        # A step yields the first token from the last of the prompt, which is computed whatever is cached.
        tokens = np.where(told > 1, told, told * prompt)
        prefix = np.where(np.isnan(told), 0.0, np.clip(tokens, 0.0, np.maximum(prompt - 1, 0.0)))
    return ServingConfig(
        model=model,
        batch=batch,
        prompt_tokens=_column(workload.prompt_tokens),
        output_tokens=_column(workload.output_tokens),
        tensor_parallel=_column(layout.tensor_parallel),
        stages=_column(layout.stages),
        parallelism=layout.kind,
        replicas=layout.replicas,
        expert_parallel=layout.expert_parallel,
        cache_split=layout.cache_split,
        expert_spread=np.where(same > 0, 0.0, spread) if same.any() else spread,
        prefix_tokens=prefix,
        speculation=None if workload.drafting is None else workload.drafting.of(model, technology.library),
    )


def _software(columns: Designs, technology: Technology) -> Software:
    """Return the stack of each row; one that holds for all rows is looked up once."""
    stack, family = cast("Choice", columns["serving_stack"]), cast("Choice | None", columns.get("family"))
    if len(stack) > 1 or family is not None:
        return software(stack, technology, family)
    return technology.once(("software", tuple(stack.names())), lambda: software(stack, technology))


def _quality(model: Model, columns: Designs, technology: Technology) -> Quality:
    """Return perplexity ratios, of the worse of body weights and experts where experts have a format of their own.

    A file of fewer bits than its format is named for has no known quality.
    """
    result = _format_quality(model, columns, technology)
    chosen = cast("Choice | None", columns.get("expert_format"))
    if model.moe is not None and chosen is not None and set(chosen.values) - {model.expert_format}:
        body = cast("Choice", columns["weight_format"])
        experts = _with_choice(body, chosen, published=model.expert_format)
        other = _format_quality(model, {**columns, "weight_format": experts}, technology)
        result = _worst(result, other)
    if "stored_bits" in columns:
        unknown = numbers_of(columns["stored_bits"]) < body_bits(columns, technology.library) - SLACK_BITS
        if unknown.any():
            missing = (np.where(unknown, np.nan, getattr(result, field.name)) for field in fields(Quality))
            return Quality(*missing)
    return result


def _worse(judge: Callable[[], Quality], other: WorkloadResult) -> Quality:
    """Return the worse quality of two pools: a text is read by one and written by the other."""
    return _worst(judge(), other.quality)


def _worst(one: Quality, other: Quality) -> Quality:
    return Quality(*(np.fmax(getattr(one, field.name), getattr(other, field.name)) for field in fields(Quality)))


def _with_choice(names: Choice, other: Choice, *, published: str | None) -> Choice:
    """Return `names`, in the rows where `other` names something but `published` that."""
    chosen = [one if one not in (None, published) else name for name, one in _pairs(names, other)]
    return Choice.of(*chosen)


def _pairs(names: Choice, other: Choice) -> list[tuple[str, str | None]]:
    rows = max(len(names), len(other))
    return list(zip(*(np.broadcast_to(column.names(), (rows,)) for column in (names, other)), strict=True))


def _format_quality(model: Model, columns: Designs, technology: Technology) -> Quality:
    """Return perplexity ratios of the weight format; one look at the fits per pair of format and method."""
    storage, method = Storage.of(columns, technology.library), cast("Choice", columns["weight_method"])
    methods = (*method.values, "")
    if storage.given:
        table = _damages(model, storage.forms, methods, technology)
    else:
        key = ("quality", model.key, storage.formats.values, methods)
        table = technology.once(key, lambda: _damages(model, storage.forms, methods, technology))
    # One behind the last where none is chosen: sums are several times as quick as a choice row by row.
    method_codes = method.codes + (method.codes == INACTIVE) * len(methods)
    names = tuple(f"{entry}+{m}" for entry in storage.formats.values for m in methods)
    pair = Choice(names, storage.formats.codes * len(methods) + method_codes)
    damage = Damage(*(pair.gather(field) for field in zip(*table, strict=True)))
    act_bits, kv_bits = numbers_of(columns["act_bits"]), numbers_of(columns["kv_bits"])
    if not narrow(act_bits, technology).any():
        return perplexity(damage, kv_bits, model, technology)
    coarse = storage.map(lambda form: float(form.power_of_two_scales))
    activations = activation_quality(act_bits, act_methods(columns, storage), coarse, model, technology)
    return perplexity(damage, kv_bits, model, technology, activations)


def _damages(
    model: Model, forms: tuple[WeightFormat, ...], methods: tuple[str, ...], technology: Technology
) -> list[Damage]:
    """Return what each pair of format and method costs; the format's own method where that is empty."""
    return [format_quality(model, entry, method or entry.method, technology) for entry in forms for method in methods]


def _of_format(columns: Designs, library: Library, function: Callable[[WeightFormat], Number]) -> FloatArray:
    return Storage.of(columns, library).map(function)


def _column(number: Number) -> FloatArray:
    return np.atleast_1d(np.asarray(number, dtype=np.float64))

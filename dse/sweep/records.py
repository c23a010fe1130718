"""The records that a sweep file becomes: frozen, complete, every name and number checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from cost_models.evaluate import ChipSetup
from cost_models.library import Library
from cost_models.performance.derived import DerivedMetric, described
from cost_models.quantities import AS_METRICS, FIELDS_AS_METRICS, PARAMETERS, WORKLOAD_FIELDS, Metric
from cost_models.silicon.cost import PRICE_YEARS, Economics, YieldModel
from cost_models.workload.serving import KINDS, Layout
from cost_models.workload.speculation import MTP, NGRAM
from dse.errors import NOWHERE, Place
from dse.sweep.fields import (
    POOL,
    Acceptance,
    ActBits,
    ArrivalCv,
    Arrivals,
    Bandwidth,
    BaselineName,
    Batch,
    BatchingName,
    Bound,
    CachedPrefix,
    ChipCount,
    Chips,
    ChunkRows,
    Concurrency,
    Direction,
    DraftName,
    DraftTokens,
    ExecutionName,
    ExpertFormatName,
    ExpertSpread,
    Flag,
    FormatName,
    Identifier,
    KvBits,
    LongOutput,
    LongPrompt,
    MetricName,
    Milliseconds,
    ModelName,
    OutputTokens,
    ParallelismName,
    Percentile,
    PromptTokens,
    Seed,
    Share,
    StackName,
    StoredBits,
    TokenRate,
    Tolerance,
    Whole,
    issue,
    number,
    validation_context,
    word_of,
)
from dse.sweep.hints import quoted
from dse.sweep.parameters import Amount, FixedSpec, RangeSpec, ValuesSpec
from dse.sweep.search import SearchSpec
from dse.sweep.traces import TraceFile
from dse.sweep.user_model import BUILT_IN, ModelSpec


class SweepRecord(BaseModel):
    """A frozen part of a sweep that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _default(name: str) -> Any:
    return (WORKLOAD_FIELDS.get(name) or PARAMETERS[name]).default


class SpeculationSpec(SweepRecord):
    """How a workload drafts tokens, for the model to verify several at a time.

    Attributes:
        draft_tokens: tokens that are drafted per decode step.
        acceptance: chance that a drafted token is accepted.
        draft: a model of the library, "mtp" for a further layer of the workload's own model, or "ngram".
    """

    draft_tokens: DraftTokens
    acceptance: Acceptance
    draft: DraftName

    @field_validator("draft")
    @classmethod
    def _can_draft(cls, name: str, info: ValidationInfo) -> str:
        if name not in (MTP, NGRAM):
            check_complete(name, validation_context(info).library)
        return name


def check_complete(name: str, library: Library) -> None:
    """Refuse a model that cannot be evaluated."""
    model = library.models[name]
    if not model.complete:
        raise issue(f"the model {name} cannot be evaluated: {model.note or 'its dimensions are not public'}")


class WorkloadSpec(SweepRecord):
    """A model and how it is used.

    Attributes:
        model: architecture in the library.
        batch: sequences served together.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        prefix_cached: what of every prompt is a cached prefix: a share up to 1, tokens above; none where not given.
        n_chips: chips that serve it together.
        parallelism: how they share the model.
        required: whether a design that cannot hold it is infeasible; its metrics are missing otherwise.
        batching: whether the batch is served at once, in waves of what an engine's memory takes, in flight, or
            continuously as requests arrive.
        arrivals_per_s: requests that come per second, where they are batched continuously.
        arrival_cv: coefficient of variation of the gaps between them; 1 where not given.
        concurrency: requests that are there at all times, in place of arrivals.
        prompt_p95_tokens: 95th percentile of prompt lengths, lognormal; all alike where not given.
        output_p95_tokens: the same of output lengths.
        speculation: how tokens are drafted; the model decodes alone where not given.
        trace: a CSV file of requests, in place of arrivals and lengths.
        chunk_rows: most tokens that a prefill takes together; as the stack does it where not given.
        same_prompts: whether all sequences have one text, and so choose the same experts.
        expert_spread: exponent by which tokens choose experts; ``serving.expert_spread`` where not given.
        weight_format: weight format of this workload where it is not the design's.
        expert_format: format of routed experts where it is not the design's.
        kv_bits: bits of the KV cache where they are not the design's.
        act_bits: bits of the activations where they are not the design's.
        ttft_limit_ms: most time to first token that users bear, for ``max_batch``.
        tpot_limit_ms: most time per token that users bear, for ``max_batch``.
        limit_percentile: percentile of the requests at which the limits hold for goodput; the mean where not given.
        load_tokens_per_s: output tokens per second to be delivered, for ``chips_for_load``.
    """

    model: ModelName
    batch: Batch = _default("batch")
    prompt_tokens: PromptTokens = _default("prompt_tokens")
    output_tokens: OutputTokens = _default("output_tokens")
    prefix_cached: CachedPrefix | None = None
    n_chips: ChipCount = _default("n_chips")
    parallelism: ParallelismName = _default("parallelism")
    batching: BatchingName = _default("batching")
    arrivals_per_s: Arrivals | None = None
    arrival_cv: ArrivalCv | None = None
    concurrency: Concurrency | None = None
    prompt_p95_tokens: LongPrompt | None = None
    output_p95_tokens: LongOutput | None = None
    speculation: SpeculationSpec | None = None
    trace: TraceFile | None = None
    chunk_rows: ChunkRows | None = None
    same_prompts: Flag = False
    expert_spread: ExpertSpread | None = None
    required: Flag = True
    weight_format: FormatName | None = None
    expert_format: ExpertFormatName | None = None
    kv_bits: KvBits | None = None
    act_bits: ActBits | None = None
    ttft_limit_ms: Milliseconds | None = None
    tpot_limit_ms: Milliseconds | None = None
    limit_percentile: Percentile | None = None
    load_tokens_per_s: TokenRate | None = None

    def said(self, field: str) -> Any:
        """Return what the workload says of a field of its own or of its speculation; None where nothing."""
        return getattr(self if field in type(self).model_fields else self.speculation, field, None)

    @field_validator("model")
    @classmethod
    def _dimensions_known(cls, name: str, info: ValidationInfo) -> str:
        check_complete(name, validation_context(info).library)
        return name

    @model_validator(mode="after")
    def _traffic_of_trace(self) -> WorkloadSpec:
        """Take arrivals and lengths from a trace."""
        if self.trace is None:
            return self
        for name in ("arrivals_per_s", "arrival_cv", "prompt_tokens", "output_tokens"):
            told = getattr(self.trace, name)
            if name in self.model_fields_set and getattr(self, name) != told:
                raise issue(f"{name} {getattr(self, name)} stands beside a trace", f"{told:.6g}, as the trace has it")
            object.__setattr__(self, name, told)
        for name in ("concurrency", "prompt_p95_tokens", "output_p95_tokens"):
            if getattr(self, name) is not None:
                raise issue(f"{name} stands beside a trace, which has arrivals and lengths of its own")
        return self

    @model_validator(mode="after")
    def _chips_of_layout(self) -> WorkloadSpec:
        """Take the number of chips from a layout that states it."""
        if self.parallelism in KINDS:
            return self
        chips = int(Layout.of(self.parallelism).chips)
        if "n_chips" in self.model_fields_set and self.n_chips != chips:
            raise issue(f"n_chips {self.n_chips}", f"{chips}, as parallelism {self.parallelism} says")
        object.__setattr__(self, "n_chips", chips)
        return self


class ObjectiveSpec(SweepRecord):
    """A metric to make small or large."""

    metric: MetricName
    direction: Direction


class ConstraintSpec(SweepRecord):
    """A metric with bounds, in the metric's unit, or as multiples of a baseline's value.

    Attributes:
        metric: the metric.
        relative_to: the baseline whose value of the metric the bounds multiply.
        max: upper bound.
        min: lower bound.
        near: target value.
        within: tolerance around `near`, as a share of it.
    """

    metric: MetricName
    relative_to: BaselineName | None = None
    max: Bound | None = None
    min: Bound | None = None
    near: Bound | None = None
    within: Tolerance | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> ConstraintSpec:
        if self.max is None and self.min is None and self.near is None:
            raise issue("a constraint needs max, min, or near and within")
        if (self.near is None) != (self.within is None):
            missing = "within" if self.within is None else "near"
            raise issue(f"{missing} is missing; near and within go together")
        if self.near is not None and (self.max is not None or self.min is not None):
            raise issue("near and within do not go with max or min; write two constraints")
        if self.near == 0:
            raise issue("near 0", "possible (within is a share of it)", "max and min")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise issue(f"min {quoted(self.min)}", f"at most max {quoted(self.max)}", "min and max swapped")
        if self.relative_to and any(bound is not None and bound <= 0 for bound in (self.max, self.min, self.near)):
            raise issue("a bound relative to a baseline", "possible below or at 0: it is a multiple")
        return self

    @property
    def label(self) -> str:
        """The constraint in one line, unique within a sweep: ``tdp_w <= 150``."""
        scale = f" x {self.relative_to}" if self.relative_to else ""
        if self.near is not None:
            return f"{self.metric} = {self.near:.12g}{scale} +- {100 * (self.within or 0):.12g} %"
        low = f"{self.min:.12g}{scale} <= " if self.min is not None and self.max is not None else ""
        if self.max is not None:
            return f"{low}{self.metric} <= {self.max:.12g}{scale}"
        return f"{self.metric} >= {self.min:.12g}{scale}"


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
    weight_format: FormatName | None = None
    kv_bits: KvBits = 16.0
    act_bits: ActBits = 16.0
    weight_execution: ExecutionName | None = None
    serving_stack: StackName | None = None
    expert_format: ExpertFormatName | None = None
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
        return ChipSetup(
            chip=self.chip,
            weight_format=self.weight_format,
            expert_format=self.expert_format,
            stored_bits=self.stored_bits,
            kv_bits=self.kv_bits,
            act_bits=self.act_bits,
            weight_execution=self.weight_execution,
            serving_stack=self.serving_stack,
        )

    def layout(self, workload: WorkloadSpec) -> Layout:
        """Return how the chips share the model of a workload."""
        return Layout.of(self.parallelism or workload.parallelism, float(self.count))


class BaselineSpec(ChipsSpec):
    """Chips of the library that serve the same workloads by the same equations.

    Attributes:
        batch: batch of every workload on this baseline where it is not the workload's.
        prefill: chips that prefill for them, so that they only decode; None where they do both.
        network_gbps: bandwidth of each chip to the other pool, one way; ``deployment.network_gbps`` where not given.
    """

    batch: Batch | None = None
    prefill: Annotated[ChipsSpec | None, POOL] = None
    network_gbps: Bandwidth | None = None


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


class EconomicsSpec(SweepRecord):
    """Business terms; the library's typical parameters where not given."""

    units: Annotated[float, number(low=0, open_low=True)] | None = None
    margin: Annotated[float, number(low=0, high=0.99)] | None = None
    nre_share: Annotated[float, number(low=0, high=1)] | None = None
    krw_per_usd: Annotated[float, number(low=0, open_low=True)] | None = None
    price_year: Annotated[float, number(low=PRICE_YEARS[0], high=PRICE_YEARS[-1])] | None = None
    yield_model: Annotated[str, word_of(get_args(YieldModel))] | None = None

    def resolved(self, library: Library) -> Economics:
        """Return the terms with the library's parameters filled in."""
        return Economics.of(library, **self.model_dump(exclude_none=True))


class ShareSpec(SweepRecord):
    """The share of one workload in the mix.

    Attributes:
        share: of the output tokens.
    """

    share: Share


class LibraryParameterSpec(SweepRecord):
    """A replacement for a parameter of the library, perhaps with the range that it is drawn from."""

    typ: Amount
    low: Amount | None = None
    high: Amount | None = None

    @model_validator(mode="after")
    def _in_order(self) -> LibraryParameterSpec:
        if self.low is not None and self.low > self.typ:
            raise issue(f"low {quoted(self.low)}", f"at most typ {quoted(self.typ)}")
        if self.high is not None and self.high < self.typ:
            raise issue(f"high {quoted(self.high)}", f"at least typ {quoted(self.typ)}")
        return self


class ResultsSpec(SweepRecord):
    """What a run keeps.

    Attributes:
        keep_all_up_to: most designs of which every row is kept; beyond, only those that matter.
    """

    keep_all_up_to: Annotated[int, number(low=0, whole=True)] = 200_000


MAX_DRAWS = 100_000
"""Monte Carlo samples that a design can meet at once: each takes some 10 kB."""


class RobustnessSpec(SweepRecord):
    """Monte Carlo samples of the ranged parameters that the designs of a run meet after the search.

    Attributes:
        draws: number of Monte Carlo samples.
        seed: their seed.
        designs: most designs that meet them.
    """

    draws: Annotated[int, number(low=2, high=MAX_DRAWS, whole=True)] = 2000
    seed: Seed = 0
    designs: Whole = 1000


class HeaderSpec(BaseModel):
    """What stands at the top of a sweep beside its sections."""

    name: Identifier


class Spec(SweepRecord):
    """A checked sweep.

    Attributes:
        name: name of the sweep and of its results directory.
        workloads: by name.
        mix: workloads to their shares of the output tokens; empty where the sweep has no mix.
        space: what the file says of each parameter; several declarations hold under disjoint conditions.
        economics: business terms.
        parameters: parameters of the library that are replaced, by dotted path.
        objectives: at least one.
        constraints: all must hold.
        baselines: by name.
        deployment: which chips prefill and which decode; None where the same do both.
        search: how the space is searched.
        results: what is kept.
        library: what the sweep adds to the library, sections with entries; empty where it adds nothing.
        robustness: Monte Carlo samples after the search; None where the sweep asks for none.
        probabilities: constraints on ``p_feasible``, judged after the search for the designs that meet the draws.
        model: a user-defined model, beside the built-in evaluation or in its place; None without one.
        derived: metrics that were derived from built-in ones in Python; no part of the file.
        source_text: the file, byte for byte ("" for a sweep made in Python).
        places: where each key stands, by path, for issues that are found later.
    """

    name: Identifier
    workloads: Mapping[str, WorkloadSpec]
    mix: Mapping[str, float] = Field(default_factory=dict)
    space: Mapping[str, tuple[FixedSpec | ValuesSpec | RangeSpec, ...]]
    economics: Economics
    parameters: Mapping[str, LibraryParameterSpec]
    objectives: tuple[ObjectiveSpec, ...]
    constraints: tuple[ConstraintSpec, ...]
    baselines: Mapping[str, BaselineSpec]
    deployment: DeploymentSpec | None = None
    search: SearchSpec
    results: ResultsSpec
    library: Mapping[str, Any] = Field(default_factory=dict)
    robustness: RobustnessSpec | None = None
    probabilities: tuple[ConstraintSpec, ...] = ()
    model: ModelSpec | None = None
    derived: tuple[DerivedMetric, ...] = Field(default=(), exclude=True, repr=False)
    source_text: str = Field(exclude=True, repr=False)
    places: Mapping[str, Place] = Field(exclude=True, repr=False)

    @property
    def technology(self) -> dict[str, float]:
        """Replaced parameters: dotted path to value."""
        return {path: parameter.typ for path, parameter in self.parameters.items()}

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric that the sweep may use, by bare name: built-in, derived ones, and those of its own model.

        Parameters and varied numbers of workloads that objectives or constraints name are among them.
        """
        named = {one.metric for one in self.objectives} | {one.metric for one in self.constraints}
        parameters = {name: metric for name, metric in AS_METRICS.items() if name in named}
        fields = {name.rpartition(".")[2] for name in named.intersection(self.space)}
        parameters |= {name: metric for name, metric in FIELDS_AS_METRICS.items() if name in fields}
        return {**parameters, **described(self.derived), **({} if self.model is None else self.model.described)}

    def place_of(self, path: str) -> Place:
        """Return where `path` (``space.macs``) stands: its own key, or the nearest one above it."""
        while path and path not in self.places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places.get(path, NOWHERE)

    def written(self) -> dict[str, Any]:
        """Return the sweep with the defaults of its sections filled in, as plain data that `parse_spec` reads back."""
        data = self.model_dump(mode="json", exclude_none=True, exclude={"space", "parameters", "economics"})
        data["space"] = {name: _written(entries) for name, entries in self.space.items()}
        for section in ("mix", "library"):
            if not data[section]:
                del data[section]
        data["constraints"] += data.pop("probabilities")
        data["economics"] = asdict(self.economics)
        data["technology"] = {
            path: parameter.typ
            if parameter.low is None and parameter.high is None
            else parameter.model_dump(exclude_none=True)
            for path, parameter in self.parameters.items()
        }
        for section in BUILT_IN if self.builtin_disabled else ():
            data.pop(section, None)
        return data

    def resolved(self) -> dict[str, Any]:
        """Return the sweep as `written`, with the parameters that the file does not mention at the value they have."""
        # As they are read back: numbers as floats, so that the sweep that is read back has the same hash.
        defaults = {
            name: float(p.default) if isinstance(p.default, int) else p.default
            for name, p in PARAMETERS.items()
            if p.default is not None
        }
        data = self.written()
        space = data["space"]
        data["space"] = {name: space.get(name, defaults.get(name)) for name in {**defaults, **space}}
        return data

    @property
    def builtin_disabled(self) -> bool:
        """Whether the sweep's own model stands in the place of the built-in evaluation."""
        return self.model is not None and self.model.replace

    @property
    def hash(self) -> str:
        """SHA-256 of the resolved sweep; the order of its keys has no part in it."""
        return _sha256(self.resolved())

    @property
    def question(self) -> str:
        """SHA-256 of what decides what a design is worth: the resolved sweep without name, search and results."""
        kept = {key: value for key, value in self.resolved().items() if key not in ("name", "search", "results")}
        return _sha256(kept)


def _sha256(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _written(entries: tuple[FixedSpec | ValuesSpec | RangeSpec, ...]) -> Any:
    """Return the declarations of one parameter as they would stand in a file."""
    written = [entry.written() for entry in entries]
    return written[0] if len(written) == 1 else written

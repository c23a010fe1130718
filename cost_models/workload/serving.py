"""A workload as served: who shares the model, and what one stage sees at a time; and the memory that it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np

from cost_models.library import Model
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.workload.formats import Formats
from cost_models.workload.mixing import cache_bytes, index_bytes, state_bytes
from cost_models.workload.operators import CacheSplit, Shape, held_weights, most_loaded_fraction
from cost_models.workload.param_count import count_parameters, dense_blocks
from cost_models.workload.sessions import Sessions
from cost_models.workload.speculation import Speculation

Parallelism = Literal["tensor", "pipeline", "layer_split"]


KINDS: tuple[Parallelism, ...] = get_args(Parallelism)
"""Ways in which all chips of a workload may share its model."""

_PART = re.compile(r"(tp|pp|dp|ep|layer_split)([1-9][0-9]*)")
_LAYOUT = re.compile(rf"{_PART.pattern}(?:_{_PART.pattern})*")
_CACHE = re.compile(r"(.*)_kv_(batch|context)")


@dataclass(frozen=True)
class Layout:
    """How chips share a model; numbers are scalars or ``(n,)`` columns.

    Attributes:
        tensor_parallel: chips that share every layer.
        stages: groups of those that share the layers.
        replicas: groups of all of those that each serve a part of the batch and share routed experts.
        kind: whether stages work at the same time or in turn.
        expert_parallel: groups of all chips of a stage to which whole experts are dealt.
        cache_split: what the chips of a tensor-parallel group deal out of the KV cache.
    """

    tensor_parallel: Number = 1.0
    stages: Number = 1.0
    replicas: Number = 1.0
    kind: Parallelism = "tensor"
    expert_parallel: Number = 1.0
    cache_split: CacheSplit = "heads"

    @classmethod
    def of(cls, text: str, n_chips: Number = 1.0) -> Layout:
        """Return the layout that a text names.

        Args:
            text: a kind, which takes all chips; or numbers of chips joined by ``_``: ``tp8_pp2`` (tensor parallel
                within two stages of a pipeline), ``dp8`` (replicas that share experts: each holds whole ones),
                ``tp8_ep8`` (whole experts dealt to the eight), ``dp4_ep1`` (each holds a slice of all),
                ``layer_split4``. ``_kv_batch`` or ``_kv_context`` behind it deals the KV cache out by sequences or
                by tokens where KV heads run out.
            n_chips: chips where the text names a kind.

        Raises:
            ValueError: the text is neither.
        """
        if named := _CACHE.fullmatch(text):
            return replace(cls.of(named[1], n_chips), cache_split=cast("CacheSplit", named[2]))
        if text in KINDS:
            return cls(tensor_parallel=n_chips) if text == "tensor" else cls(stages=n_chips, kind=text)
        parts = _PART.findall(text) if _LAYOUT.fullmatch(text) else []
        counts = {name: float(count) for name, count in parts}
        if not parts or len(counts) < len(parts):
            raise ValueError(f"{text!r} is no layout of chips")
        if {"pp", "layer_split"} <= counts.keys():
            raise ValueError(f"{text!r} is no layout of chips: stages work at the same time or in turn")
        stages = counts.get("layer_split", counts.get("pp", 1.0))
        several: Parallelism = "layer_split" if "layer_split" in counts else "pipeline"
        tensor, replicas = counts.get("tp", 1.0), counts.get("dp", 1.0)
        dealt = counts.get("ep", tensor * replicas if replicas > 1 else 1.0)
        if tensor * replicas % dealt:
            raise ValueError(f"{text!r} is no layout of chips: ep{int(dealt)} does not divide tp times dp")
        return cls(tensor, stages, replicas, several if stages > 1 else "tensor", dealt)

    @property
    def chips(self) -> Number:
        """Chips that it takes."""
        return asarray(self.tensor_parallel) * self.stages * self.replicas


@dataclass(frozen=True)
class ServingConfig:
    """A workload as served: the model and who shares it; numbers are scalars or ``(n,)`` columns.

    Attributes:
        model: the architecture.
        batch: sequences served together.
        prompt_tokens: prompt length.
        output_tokens: generated tokens per sequence.
        tensor_parallel: chips that share every layer.
        stages: chips (or tensor-parallel groups) that share the layers.
        parallelism: "pipeline" keeps all stages busy with parts of the batch, "layer_split" lets them work in turn;
            "tensor" has one stage.
        replicas: groups of chips that each serve `batch` sequences and share routed experts.
        expert_spread: exponent s by which T tokens choose experts like T^s independent ones (`Shape`).
        hottest_fifth: share of the choices of experts that fall on the fifth of them that is chosen most; NaN where all
            are alike.
        expert_parallel: groups of chips to which whole experts are dealt (`Shape`).
        cache_split: what the chips deal out of the KV cache (`Shape`).
        speculation: how tokens are drafted; None where the model decodes alone.
        prefix_tokens: first tokens of every prompt, the same for all, whose keys, values and states are cached: no
            prefill computes them, a replica holds them once, and decode steps read them for each sequence.
        sessions: conversations whose histories stand in the prompts; None where every request is by itself.
        reused_tokens: of a prompt's history, what a cache still had: no prefill computes it, each user has their own.
    """

    model: Model
    batch: Number
    prompt_tokens: Number
    output_tokens: Number
    tensor_parallel: Number = 1.0
    stages: Number = 1.0
    parallelism: Parallelism = "tensor"
    replicas: Number = 1.0
    expert_spread: Number = 1.0
    expert_parallel: Number = 1.0
    cache_split: CacheSplit = "heads"
    speculation: Speculation | None = None
    prefix_tokens: Number = 0.0
    hottest_fifth: Number = np.nan
    sessions: Sessions | None = None
    reused_tokens: Number = 0.0

    @property
    def cached_tokens(self) -> Number:
        """Tokens of a prompt whose keys, values and states are there already."""
        return self.prefix_tokens if self.sessions is None else asarray(self.prefix_tokens) + self.reused_tokens

    @property
    def computed_tokens(self) -> Number:
        """Tokens of a prompt that its prefill computes."""
        return asarray(self.prompt_tokens) - self.cached_tokens

    @property
    def step_rows(self) -> Number:
        """Rows of a sequence in a decode step."""
        return 1.0 if self.speculation is None else self.speculation.rows

    @property
    def drafting(self) -> ServingConfig | None:
        """The draft as served by the same chips; None where drafts cost nothing, or nothing is drafted."""
        if self.speculation is None or self.speculation.draft is None:
            return None
        return replace(self, model=self.speculation.draft, speculation=None)

    @property
    def chips(self) -> Number:
        """Chips that serve the workload."""
        return asarray(self.tensor_parallel) * self.stages * self.replicas

    @property
    def sequences(self) -> Number:
        """Sequences that all replicas serve together."""
        return asarray(self.batch) * self.replicas

    @property
    def decode_steps(self) -> Number:
        """Decode steps of a request: the prefill of a prompt yields the first token."""
        return asarray(self.output_tokens) - (asarray(self.prompt_tokens) > 0)

    @property
    def batch_parts(self) -> Number:
        """Parts that the batch is cut into, one per busy pipeline stage."""
        return np.minimum(self.stages, self.batch) if self.parallelism == "pipeline" else np.float64(1.0)

    @property
    def shape(self) -> Shape:
        """What one stage sees at a time: the most-loaded part of the batch."""
        part = np.ceil(asarray(self.batch) / self.batch_parts)
        return Shape(
            part,
            self.prompt_tokens,
            self.output_tokens,
            self.tensor_parallel,
            replicas=self.replicas,
            expert_spread=self.expert_spread,
            expert_parallel=self.expert_parallel,
            cache_split=self.cache_split,
            prefix_tokens=self.cached_tokens,
        )


@dataclass(frozen=True)
class Footprint:
    """Memory that a workload takes, bytes, ``(n,)``.

    Attributes:
        weights_bytes: stored weights, once.
        kv_bytes: KV cache at full length, and states of fixed size, of all sequences.
        activations_bytes: activations of one prefill chunk.
        most_loaded_bytes: what the most-loaded chip holds, and room that nothing else can take.
        written_bytes: what it holds of all that is written while it serves: KV cache, states and activations.
    """

    weights_bytes: FloatArray
    kv_bytes: FloatArray
    activations_bytes: FloatArray
    most_loaded_bytes: FloatArray
    written_bytes: FloatArray


def footprint(
    serving: ServingConfig, formats: Formats, *, chunk_rows: Number, read_mostly_bytes: Number = 0.0
) -> Footprint:
    """Return the memory that a workload takes, that of its draft included.

    A draft has weights and a KV cache of its own, in the same formats, and uses the memory of activations in turn with
    the model. Tokens that are being verified have keys and values too, and leave a state of fixed size each to go back
    to; in the draft's own cache they are left out: a few tokens of a small model.

    Args:
        serving: the workload.
        formats: stored bits.
        chunk_rows: most rows that a prefill takes through the layers together.
        read_mostly_bytes: of each chip's memory, what holds weights alone: a chip needs as much beside its KV cache and
            activations, however few its weights are.
    """
    held = _with_draft(serving, formats, chunk_rows=chunk_rows)
    if not np.any(read_mostly_bytes):
        return held
    return replace(held, most_loaded_bytes=np.maximum(held.most_loaded_bytes, held.written_bytes + read_mostly_bytes))


def _with_draft(serving: ServingConfig, formats: Formats, *, chunk_rows: Number) -> Footprint:
    held = _footprint(serving, formats, chunk_rows=chunk_rows)
    drafting, speculation = serving.drafting, serving.speculation
    if drafting is None or speculation is None:
        return held
    shared = speculation.shares_vocabulary
    more = _footprint(drafting, formats, chunk_rows=chunk_rows, vocabulary=0.0 if shared else 1.0)
    drafts = speculation.drafts
    activations = np.maximum(held.activations_bytes, drafts * more.activations_bytes)
    of_draft = more.most_loaded_bytes - more.activations_bytes / serving.tensor_parallel
    grown = (activations - held.activations_bytes) / serving.tensor_parallel
    return Footprint(
        held.weights_bytes + drafts * more.weights_bytes,
        held.kv_bytes + drafts * more.kv_bytes,
        activations,
        held.most_loaded_bytes + drafts * of_draft + grown,
        held.written_bytes + drafts * (more.written_bytes - more.activations_bytes / serving.tensor_parallel) + grown,
    )


def request_cache_bytes(serving: ServingConfig, tokens: Number, kv_bits: Number) -> FloatArray:
    """Return the bytes of keys, values and states of so many tokens of a request, a draft's among them."""
    shape = Shape(1.0, serving.prompt_tokens, serving.output_tokens)
    held = asarray(cache_bytes(serving.model, shape, tokens=tokens, kv_bits=kv_bits))
    drafting, speculation = serving.drafting, serving.speculation
    if drafting is None or speculation is None:
        return held
    return asarray(held + speculation.drafts * cache_bytes(drafting.model, shape, tokens=tokens, kv_bits=kv_bits))


def _footprint(serving: ServingConfig, formats: Formats, *, chunk_rows: Number, vocabulary: float = 1.0) -> Footprint:
    """Return the memory that one model takes, with its embedding and head or (`vocabulary` 0) without."""
    model, shape = serving.model, serving.shape
    count = count_parameters(model)
    weights = asarray(
        (
            (count.body - count.experts) * asarray(formats.weight_bits)
            + count.experts * asarray(formats.stored_expert_bits)
            + vocabulary * (count.embedding + count.head) * asarray(formats.head_bits)
        )
        / 8
        + count.small * asarray(formats.wide_bits) / 8
    )
    whole = Shape(serving.batch, serving.prompt_tokens, serving.output_tokens)
    kv, kv_of_group = (
        cached * copies + kept * copies
        for shared, copies in ((whole, serving.replicas), (replace(shape, batch=serving.batch), 1.0))
        for cached, kept in (_cached(serving, shared, formats),)
    )
    widest = 2 * model.d_model + 2 * max(
        [model.d_ff or 0, *(block.d_ff for block in dense_blocks(model))]
        + [state.inner + state.keys for state in model.state_layers]
    )
    tokens = np.minimum(asarray(shape.batch) * serving.computed_tokens, chunk_rows)
    activations = tokens * widest * asarray(formats.activation_bits) / 8
    layer_fraction = layers_held(serving)
    held = held_weights(model, shape)
    # An embedding that is tied is the head that a step reads.
    other = count.embedding + count.head - model.d_model * model.vocab
    spread = most_loaded_fraction(model.vocab, shape.tensor_parallel)
    routers = held["head"] - (1 - vocabulary) * model.d_model * model.vocab * spread
    own = asarray(
        held["linear"] * asarray(formats.weight_bits)
        + held["expert"] * asarray(formats.stored_expert_bits)
        + (routers + vocabulary * other * spread) * asarray(formats.head_bits)
        + count.small * asarray(formats.wide_bits)
    )
    each = activations / serving.tensor_parallel
    most_loaded = (own / 8 + kv_of_group) * layer_fraction + each
    return Footprint(weights, kv, activations, most_loaded, kv_of_group * layer_fraction + each)


def _cached(serving: ServingConfig, shared: Shape, formats: Formats) -> tuple[FloatArray, Number]:
    """Return the bytes of keys, values and states at full length, and of the states that drafted tokens leave."""
    speculation, model = serving.speculation, serving.model
    cached = _at_full_length(cache_bytes, serving, shared, formats)
    if speculation is None or not model.state_layers:
        return cached, 0.0
    return cached, asarray(speculation.draft_tokens) * state_bytes(model, shared)


def _at_full_length(
    held: Callable[..., FloatArray], serving: ServingConfig, shared: Shape, formats: Formats
) -> FloatArray:
    """Return the bytes of a cache (`cache_bytes`, or a part of it) at full length, those of a shared prefix once."""
    length = asarray(serving.prompt_tokens) + serving.output_tokens
    if serving.speculation is not None:
        length = length + serving.speculation.draft_tokens
    prefix = asarray(serving.prefix_tokens)
    cached = held(serving.model, shared, tokens=length - prefix, kv_bits=formats.kv_bits)
    if prefix.any():
        once = held(serving.model, replace(shared, batch=1.0), tokens=prefix, kv_bits=formats.kv_bits)
        cached = cached + np.where(prefix > 0, once, 0.0)
    return cached


def held_tensors(serving: ServingConfig, formats: Formats, *, chunk_rows: Number) -> dict[str, FloatArray]:
    """Return the bytes that the most-loaded chip holds by tensor; they sum to what `footprint` says of one model.

    "dense" weights with everything small, "experts", "head", an "embedding" of its own, KV "cache", the "index" keys of
    sparse attention, "state" of fixed size, "activations".

    Args:
        serving: the workload.
        formats: stored bits.
        chunk_rows: most rows that a prefill takes through the layers together.
    """
    model, shape = serving.model, serving.shape
    activations = _footprint(serving, formats, chunk_rows=chunk_rows).activations_bytes
    count, held = count_parameters(model), held_weights(model, shape)
    sharded = replace(shape, batch=serving.batch)
    cached, kept = _cached(serving, sharded, formats)
    states = state_bytes(model, sharded) if model.state_layers else np.zeros(1)
    index = _at_full_length(index_bytes, serving, sharded, formats)
    tables = (count.embedding + count.head - model.d_model * model.vocab) * most_loaded_fraction(
        model.vocab, shape.tensor_parallel
    )
    small = count.small * asarray(formats.wide_bits)
    of_layers = {
        "dense": (held["linear"] * asarray(formats.weight_bits) + small) / 8,
        "experts": held["expert"] * asarray(formats.stored_expert_bits) / 8,
        "head": held["head"] * asarray(formats.head_bits) / 8,
        "embedding": tables * asarray(formats.head_bits) / 8,
        "cache": cached - states - index,
        "index": index,
        "state": states + kept,
    }
    fraction = layers_held(serving)
    return {
        **{name: asarray(amount * fraction) for name, amount in of_layers.items()},
        "activations": activations / serving.tensor_parallel,
    }


def layers_held(serving: ServingConfig) -> FloatArray:
    """Return the share of the model's layers on the most-loaded chip."""
    return asarray(np.ceil(serving.model.layers / asarray(serving.stages)) / serving.model.layers)

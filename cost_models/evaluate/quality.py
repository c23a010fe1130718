"""Quality of a model in the number formats of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import cast

import numpy as np

from cost_models.evaluate.number_formats import body_bits
from cost_models.library import Model, WeightFormat
from cost_models.library.technology import Technology
from cost_models.performance.workload_result import WorkloadResult
from cost_models.table import INACTIVE, Choice, Designs, numbers_of
from cost_models.weights.activations import act_methods, narrow
from cost_models.weights.chip_execution import SLACK_BITS
from cost_models.weights.quality import (
    UNHARMED,
    Damage,
    Quality,
    activation_quality,
    format_quality,
    kv_methods,
    perplexity,
)
from cost_models.weights.weight_storage import Storage


def quality_of(model: Model, columns: Designs, technology: Technology) -> Quality:
    """Return perplexity ratios, of the worse of body weights and experts where experts have a format of their own.

    What the maker trained or released costs nothing; what others made of it, and publish, does. A file of fewer bits
    than its format is named for has no known quality.
    """
    result = _format_quality(model, columns, technology)
    chosen = cast("Choice | None", columns.get("expert_format"))
    free, made = (model.expert_format, None) if model.native_formats else (None, model.expert_format)
    if model.moe is not None and (made or (chosen is not None and set(chosen.values) - {free})):
        body = cast("Choice", columns["weight_format"])
        experts = _with_choice(body, chosen or Choice((), np.array([INACTIVE])), published=free, made=made)
        other = _format_quality(model, {**columns, "weight_format": experts}, technology)
        result = _worst(result, other)
    if "stored_bits" in columns:
        unknown = numbers_of(columns["stored_bits"]) < body_bits(columns, technology.library) - SLACK_BITS
        if unknown.any():
            missing = (np.where(unknown, np.nan, getattr(result, field.name)) for field in fields(Quality))
            return Quality(*missing)
    return result


def worse_of(judge: Callable[[], Quality], other: WorkloadResult) -> Quality:
    """Return the worse quality of two pools: a text is read by one and written by the other."""
    return _worst(judge(), other.quality)


def _worst(one: Quality, other: Quality) -> Quality:
    return Quality(*(np.fmax(getattr(one, field.name), getattr(other, field.name)) for field in fields(Quality)))


def _with_choice(names: Choice, other: Choice, *, published: str | None, made: str | None) -> Choice:
    """Return `names`, in the rows where `other`, or else `made`, names something but `published` that."""
    chosen = [one if one not in (None, published) else name for name, one in _pairs(names, other, made)]
    return Choice.of(*chosen)


def _pairs(names: Choice, other: Choice, made: str | None) -> list[tuple[str, str | None]]:
    rows = max(len(names), len(other))
    pairs = zip(*(np.broadcast_to(column.names(), (rows,)) for column in (names, other)), strict=True)
    return [(name, one if one is not None else made) for name, one in pairs]


def _format_quality(model: Model, columns: Designs, technology: Technology) -> Quality:
    """Return perplexity ratios of the weight format; one look at the fits per pair of format and method."""
    storage, method = Storage.of(columns, technology.library), cast("Choice", columns["weight_method"])
    methods = (*method.values, "")
    if storage.given:
        table = _damages(model, storage.forms, methods, technology, given=True)
    else:
        key = ("quality", model.key, storage.formats.values, methods)
        table = technology.once(key, lambda: _damages(model, storage.forms, methods, technology, given=False))
    # One behind the last where none is chosen: sums are several times as quick as a choice row by row.
    method_codes = method.codes + (method.codes == INACTIVE) * len(methods)
    names = tuple(f"{entry}+{m}" for entry in storage.formats.values for m in methods)
    pair = Choice(names, storage.formats.codes * len(methods) + method_codes)
    damage = Damage(*(pair.gather(field) for field in zip(*table, strict=True)))
    act_bits, kv_bits = numbers_of(columns["act_bits"]), numbers_of(columns["kv_bits"])
    if not narrow(act_bits, technology).any():
        return perplexity(damage, kv_bits, model, technology, methods=kv_methods(columns))
    coarse = storage.map(lambda form: float(form.power_of_two_scales))
    activations = activation_quality(act_bits, act_methods(columns, storage), coarse, model, technology)
    return perplexity(damage, kv_bits, model, technology, activations, kv_methods(columns))


def _damages(
    model: Model, forms: tuple[WeightFormat, ...], methods: tuple[str, ...], technology: Technology, *, given: bool
) -> list[Damage]:
    """Return what each pair of format and method costs; the format's own method where that is empty.

    The format in which the maker trained or released the model, as it stands in the library, costs nothing.
    """
    native = model.weight_format if model.native_formats else None
    return [
        UNHARMED if entry.key == native and method in ("", entry.method) and not given
        else format_quality(model, entry, method or entry.method, technology)
        for entry in forms
        for method in methods
    ]  # fmt: skip

"""What compression costs in perplexity: fits to published measurements, with an interval.

Equations and constants are those of ``quality.yaml``, fitted to ``quality.csv``. Everything is a ratio to the dense model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.columns import FloatArray, Number
from cost_models.compression import stored_bits
from cost_models.library import Model, WeightFormat
from cost_models.parameters import count_parameters
from cost_models.technology import Technology


@dataclass(frozen=True)
class Quality:
    """Perplexity over that of the uncompressed model.

    Attributes:
        ratio: the expected ratio, at least 1.
        ratio_high: upper end of its 90 % interval.
        extrapolated: 1 where the fit has no data nearby, else 0.
    """

    ratio: Number
    ratio_high: Number
    extrapolated: Number


def quantisation_damage(form: WeightFormat, method: str, tokens: Number, technology: Technology) -> Number:
    """Return y, the rise of ln perplexity from quantising to a format by a method; 0 for 16-bit formats.

    Args:
        form: the format; codebook formats count by their stored bits, without a group term.
        method: a method class of ``quality.quantisation.damage_at_4_bit``, or "none".
        tokens: training tokens, trillions.
        technology: figures.
    """
    figure = "quality.quantisation."
    if method == "none":
        return 0.0
    bits: Number = form.weight_bits
    group_term: Number = 1.0
    if form.kind in ("codebook", "kquant"):
        bits = stored_bits(form)
    else:
        group = form.group or technology.value(figure + "channel_group")
        exponent = technology.value(figure + "gamma") * np.log2(group / technology.value(figure + "reference_group"))
        group_term = np.exp2(exponent)
    drop = technology.value(figure + "kappa") * (bits - technology.value(figure + "reference_bits"))
    share = (tokens / technology.value("quality.reference_tokens")) ** technology.value(figure + "alpha")
    return technology.value(f"{figure}damage_at_4_bit.{method}") * np.exp2(-drop) * group_term * share


def pruning_damage(form: WeightFormat, tokens: Number, size: float, technology: Technology) -> Number:
    """Return y from pruning to the format's sparsity or N:M pattern by the format's method; 0 for dense formats.

    Args:
        form: the format.
        tokens: training tokens, trillions.
        size: parameters, billions.
        technology: figures.
    """
    if not form.sparsity or form.pruning is None:
        return 0.0
    figure = "quality.pattern_2of4." if form.kind == "nm" else "quality.pruning."
    scale = (tokens / technology.value("quality.reference_tokens")) ** technology.value(figure + "alpha")
    scale = scale * (size / technology.value("quality.reference_size")) ** technology.value(figure + "size")
    z = technology.value(f"{figure}damage.{form.pruning}") * scale
    if form.kind != "nm":
        z = z * (form.sparsity / (1 - form.sparsity)) ** technology.value(figure + "power")
    return z / (1 + z / technology.value("quality.pruning.ceiling"))


def kv_damage(kv_bits: Number, technology: Technology) -> FloatArray:
    """Return y from a KV cache of `kv_bits`: the figure at 4 bits, falling by a power of two per bit."""
    decay = technology.value("quality.kv_decay_per_bit")
    bits = np.asarray(kv_bits, dtype=np.float64)
    damage = technology.value("quality.kv_damage_at_4_bit") * np.exp2(-decay * (bits - 4))
    return np.where(bits >= technology.value("quality.quantisation.damage_free_bits"), 0.0, damage)


def format_quality(model: Model, form: WeightFormat, method: str, technology: Technology) -> tuple[Number, bool]:
    """Return y of a model stored in a format quantised by a method, and whether the fits extrapolate for it."""
    size = count_parameters(model).total / 1e9
    known = model.training_tokens is not None
    tokens = model.training_tokens if known else technology.value("quality.assumed_training_tokens")
    pruned = pruning_damage(form, tokens, size, technology)
    quantised = quantisation_damage(form, method, tokens, technology)
    interaction = technology.value("quality.joint_interaction") if form.sparsity else 0.0
    limits = [technology.value(f"quality.{name}") for name in ("smallest_model", "largest_model")]
    outside = not known or not limits[0] <= size <= limits[1]
    outside |= form.weight_bits < technology.value("quality.quantisation.least_bits")
    outside |= form.sparsity > technology.value("quality.pruning.greatest_sparsity")
    return pruned + (1 + interaction) * quantised, bool(outside)


def perplexity(y: Number, extrapolated: Number, kv_bits: Number, technology: Technology) -> Quality:
    """Return the perplexity ratio of a format's damage together with the KV cache's.

    The interval takes ln y as normal with the fit's spread: y exp(z sd).
    """
    damage = np.asarray(y + kv_damage(kv_bits, technology))
    spread = np.exp(technology.value("quality.interval_z") * technology.value("quality.spread_ln_y"))
    return Quality(np.exp(damage), np.exp(damage * spread), extrapolated)

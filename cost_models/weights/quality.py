"""What compression costs in perplexity: fits to published measurements, with an interval.

Pruning, quantisation of weights and of activations, and a smaller KV cache each do a damage, and damages add up. A
small damage is the rise of ln perplexity over the uncompressed model; a large one saturates where the model guesses
(`rise`). Equations and constants are those of ``quality.yaml``; ``studies/fits/quality/__main__.py`` fits them to
``quality.csv``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cost_models.library import Model, WeightFormat
from cost_models.library.technology import Technology
from cost_models.table import INACTIVE, Choice, Designs, FloatArray, Number, at_codes, rows_where
from cost_models.tape import asarray
from cost_models.weights.activations import activation_damage, narrow
from cost_models.weights.compression import stored_bits
from cost_models.workload.param_count import count_parameters

BoolArray: TypeAlias = NDArray[np.bool_]

MAX_POWER = 600.0
"""e to this is still a number."""

UNAFFECTED = ("kquant", "kquant_imatrix")
"""Methods under which models do not differ in what they lose: GGUF's mixtures of widths with short groups."""


class Damage(NamedTuple):
    """A damage with its 90 % interval.

    Attributes:
        typ: what is expected, at least 0.
        low: lower end.
        high: upper end.
        extrapolated: 1 where the fit has no data nearby, else 0.
    """

    typ: Number
    low: Number
    high: Number
    extrapolated: Number


@dataclass(frozen=True)
class Quality:
    """Perplexity over that of the uncompressed model.

    Attributes:
        ratio: the expected ratio, at least 1.
        ratio_low: lower end of its 90 % interval.
        ratio_high: upper end of its 90 % interval.
        extrapolated: 1 where the fit has no data nearby, else 0.
        unusable: 1 where the model is expected to have collapsed, else 0.
    """

    ratio: Number
    ratio_low: Number
    ratio_high: Number
    extrapolated: Number
    unusable: Number


def rise(damage: Number, technology: Technology) -> FloatArray:
    """Return the rise of ln perplexity that a damage u makes: u / (1 + u / ceiling), never more than guessing."""
    return asarray(damage / (1 + damage / technology.value("quality.ceiling")))


def quantisation_damage(
    bits: Number, group: Number, tokens: Number, *, damage: Number, runaway: Number, technology: Technology
) -> FloatArray:
    """Return the damage of quantising weights.

    z = damage 2^[-kappa (b - 4)] (g / 128)^gamma (T / 2)^alpha, u = z exp[(runaway z)^2]: a power law of the step size
    as long as layers err on their own, faster where their errors feed on each other. Grows as bits fall, and with
    group and tokens.

    Args:
        bits: bits of a weight; stored bits for codebooks.
        group: weights per scale; 0 is one scale per output channel.
        tokens: training tokens, trillions.
        damage: z of the method at 4 bits in groups of 128 after 2 trillion tokens.
        runaway: 1 / z at which the method's errors start to feed on each other; 0 for methods that never do.
        technology: parameters.
    """
    parameter = "quality.quantisation."
    group = np.where(asarray(group) == 0, technology.value(parameter + "channel_group"), group)
    steps = technology.value(parameter + "kappa") * (bits - technology.value(parameter + "reference_bits"))
    coarseness = (group / technology.value(parameter + "reference_group")) ** technology.value(parameter + "gamma")
    z = damage * np.exp2(-steps) * coarseness * _training(tokens, technology.value(parameter + "alpha"), technology)
    # The power stays finite; damages beyond any use need no more digits.
    return asarray(z * np.exp(np.minimum((runaway * z) ** 2, MAX_POWER)))


def symmetric_factor(bits: Number, technology: Technology) -> FloatArray:
    """Return what integers without a zero point lose over those of the measured rows, which have one.

    The squared step: 2^b - 1 steps over the range of a group become 2^b - 2 over twice its largest magnitude.
    """
    levels = np.exp2(asarray(bits, dtype=np.float64))
    step = (levels - 1) / np.maximum(levels - 2, 1.0)
    return asarray(step * step * technology.value("quality.quantisation.symmetric_range"))


def pruning_damage(
    sparsity: Number, block: Number, tokens: Number, size: Number, *, damage: Number, technology: Technology
) -> FloatArray:
    """Return the damage of one-shot pruning.

    u = damage x^power (T / 2)^alpha (N / 7)^size exp[(4 / M) (nm + nm_size ln(N / 7))] with x = S / (1 - S): an N:M
    pattern costs more the shorter its blocks, and less in large models.

    Args:
        sparsity: share S of weights removed, below 1.
        block: M of an N:M pattern; infinite for unstructured pruning.
        tokens: training tokens T, trillions.
        size: parameters N, billions.
        damage: u of the method at half the weights removed freely, 2 trillion tokens, 7 billion parameters.
        technology: parameters.
    """
    parameter = "quality.pruning."
    larger = np.log(size / technology.value("quality.reference_size"))
    pattern = technology.value(parameter + "nm") + technology.value(parameter + "nm_size") * larger
    confined = technology.value(parameter + "reference_block") / asarray(block, dtype=np.float64) * pattern
    odds = asarray(sparsity / (1 - sparsity), dtype=np.float64)
    share = damage * odds ** technology.value(parameter + "power")
    share = share * _training(tokens, technology.value(parameter + "alpha"), technology)
    return asarray(share * np.exp(technology.value(parameter + "size") * larger + confined))


ROTATED, GROUPED, CALIBRATED = KV_METHODS = ("rotated", "grouped", "calibrated")
"""Ways to quantise a cache, the names of `kv_method`: scales per head after a rotation; scales per token and group of
channels; codes found by calibration, per channel of keys before their positions are rotated, outliers kept wide."""


def kv_methods(columns: Designs) -> Choice | None:
    """Return how the cache of each row is quantised; None where all rows have the usual way, the first."""
    chosen = columns.get("kv_method")
    if not isinstance(chosen, Choice) or (chosen.codes == INACTIVE).all():
        return None
    requested = np.array([*map(KV_METHODS.index, chosen.values), 0], dtype=np.intp)
    return Choice(KV_METHODS, at_codes(requested, chosen.codes))


def _of_cache(name: str, methods: Choice | None, technology: Technology) -> Number:
    """Return a constant of the cache's method, a scalar where it is the usual one."""
    section = f"quality.kv.{name}"
    return technology.value(f"{section}.{KV_METHODS[0]}") if methods is None else technology.of(section, methods)


def kv_damage(kv_bits: Number, tokens: Number, technology: Technology, methods: Choice | None = None) -> FloatArray:
    """Return the damage of a KV cache of `kv_bits`, metadata included.

    z = damage 2^[-decay (b - 4)] (T / 2)^alpha with the alpha of weights, u = z exp[(runaway z)^2]; 0 at 16 bits and
    above. Scales of groups alone collapse below 3 bits; calibrated codes (KVQuant, arXiv 2401.18079) do not.
    """
    bits = asarray(kv_bits, dtype=np.float64)
    decay, damage = (_of_cache(name, methods, technology) for name in ("decay_per_bit", "damage_at_4_bit"))
    damage = damage * np.exp2(-decay * (bits - 4))
    damage = damage * _training(tokens, technology.value("quality.quantisation.alpha"), technology)
    if methods is not None:
        damage = damage * np.exp(np.minimum((_of_cache("runaway", methods, technology) * damage) ** 2, MAX_POWER))
    return rows_where(bits >= technology.value("quality.damage_free_bits"), 0.0, damage)


def format_quality(model: Model, form: WeightFormat, method: str, technology: Technology) -> Damage:
    """Return what storing a model's weights in a format costs.

    Where weights are pruned and quantised, quantisation costs (1 + joint_interaction) times what it does alone, and
    the whole counts as extrapolated: it was measured on one model. Ends of intervals add up.

    Args:
        model: the model; without known training tokens it is taken for a recent one, and extrapolated.
        form: the format; bits, group and sparsity may be ``(n,)`` columns.
        method: class of quantisation method, a key of ``quality.quantisation.damage_at_4_bit``, or "none".
        technology: parameters.

    Raises:
        UnknownEntryError: no such method.
    """
    pruned = _pruned(model, form, technology)
    quantised = _quantised(model, form, method, technology)
    both = (asarray(pruned.typ) > 0) & (asarray(quantised.typ) > 0)
    share = np.where(both, 1 + technology.value("quality.joint_interaction"), 1.0)
    return Damage(
        typ=pruned.typ + share * quantised.typ,
        low=pruned.low + share * quantised.low,
        high=pruned.high + share * quantised.high,
        extrapolated=np.maximum(np.maximum(pruned.extrapolated, quantised.extrapolated), both),
    )


METHOD_FAMILIES = (
    frozenset({"none"}),
    frozenset({"vector"}),
    frozenset({"kquant", "kquant_imatrix"}),
    frozenset({"rtn", "gptq", "awq", "omniquant", "qat"}),
)
"""Methods that make the same kind of codes: nothing lost, codebooks, GGUF's mixtures of widths, scaled codes."""


def methods_of(form: WeightFormat) -> frozenset[str]:
    """Return the methods that can quantise weights to a format: those that make the codes that its own method makes."""
    return next(family for family in METHOD_FAMILIES if form.method in family)


def activation_quality(
    act_bits: Number, methods: Choice, coarse_scales: Number, model: Model, technology: Technology
) -> Damage:
    """Return what activations in few bits cost; nothing where they have the reference's bits.

    Args:
        act_bits: bits of an activation in the linear layers.
        methods: how activations are quantised, of `cost_models.weights.activations.ACT_METHODS`.
        coarse_scales: 1 where the format's scales are powers of two, else 0.
        model: the model.
        technology: parameters.
    """
    training = _training(_tokens(model, technology), technology.value("quality.quantisation.alpha"), technology)
    damage = activation_damage(act_bits, methods, coarse_scales, training, technology)
    least, below, above = (
        technology.of(f"quality.activations.{one}", methods) for one in ("least_bits", "spread_below", "spread_above")
    )
    seen = ~_model_unseen(model, "quality.quantisation.", technology) & (asarray(act_bits) >= least)
    unseen = (narrow(act_bits, technology) > 0) & ~seen
    return Damage(damage, damage * np.exp(-below), damage * np.exp(above), np.where(unseen, 1.0, 0.0))


UNHARMED = Damage(0.0, 0.0, 0.0, 0.0)
"""What activations of 16 bits cost, and the format in which a model was trained."""


def perplexity(
    weights: Damage,
    kv_bits: Number,
    model: Model,
    technology: Technology,
    activations: Damage = UNHARMED,
    methods: Choice | None = None,
) -> Quality:
    """Return the perplexity ratio of compressed weights together with a compressed KV cache and narrow activations.

    The lower end takes the cache for free, as on some models; the upper one takes its worst over typical measurement.

    Args:
        weights: what the weights cost, scalars or ``(n,)`` columns.
        kv_bits: bits of a cached element.
        model: the model.
        technology: parameters.
        activations: what the activations cost.
        methods: how the cache is quantised, of `KV_METHODS`; the usual way where None.
    """
    cache = kv_damage(kv_bits, _tokens(model, technology), technology, methods)
    unseen = _model_unseen(model, "quality.quantisation.", technology)
    unseen = unseen | (asarray(kv_bits) < _of_cache("least_bits", methods, technology))
    usual, best = weights.typ + activations.typ + cache, weights.low + activations.low
    worst = weights.high + activations.high + cache * np.exp(_of_cache("spread_above", methods, technology))
    y = rise(_with_error(usual, best, worst, technology), technology)
    return Quality(
        ratio=np.exp(y),
        ratio_low=np.exp(rise(best, technology)),
        ratio_high=np.exp(rise(worst, technology)),
        extrapolated=np.maximum(np.maximum(weights.extrapolated, activations.extrapolated), unseen & (cache > 0)),
        unusable=rows_where(y > technology.value("quality.unusable_y"), 1.0, 0.0),
    )


def _with_error(usual: Number, best: Number, worst: Number, technology: Technology) -> Number:
    """Return the damage at a score of the fit's own error: 0 the usual one, -1 and 1 the ends of its 90 % interval.

    In between and beyond, the logarithm of the damage goes with the score.
    """
    score = asarray(technology.value("model_error.quality"))
    if not score.any():
        return usual
    damaged = asarray(usual, dtype=np.float64) > 0
    base = np.where(damaged, usual, 1.0)
    end = np.where(score > 0, worst, np.maximum(best, base * np.finfo(np.float64).tiny))
    return np.where(damaged, base * np.where(damaged, end / base, 1.0) ** np.abs(score), usual)


def _training(tokens: Number, exponent: Number, technology: Technology) -> Number:
    """Return (T / 2)^exponent: models trained longer have more to lose."""
    return (tokens / technology.value("quality.reference_tokens")) ** exponent


def _tokens(model: Model, technology: Technology) -> Number:
    known = model.training_tokens
    return technology.value("quality.assumed_training_tokens") if known is None else known


def _size(model: Model) -> float:
    return count_parameters(model).total / 1e9


def _quantised(model: Model, form: WeightFormat, method: str, technology: Technology) -> Damage:
    if method == "none":
        return UNHARMED
    parameter = "quality.quantisation."
    codebook = form.kind == "codebook"
    bits = stored_bits(form) if codebook else form.weight_bits
    group = technology.value(parameter + "reference_group") if codebook else form.group
    damage = quantisation_damage(
        bits,
        group,
        _tokens(model, technology),
        damage=technology.value(f"{parameter}damage_at_4_bit.{method}"),
        runaway=technology.value(f"{parameter}runaway.{method}"),
        technology=technology,
    )
    unseen = _outside(bits, f"{parameter}least_bits.{method}", f"{parameter}most_bits.{method}", technology)
    if model.quantised_like is not None and method not in UNAFFECTED and not form.has_float_codes:
        damage = damage * technology.value(f"{parameter}sensitivity.{model.quantised_like}")
    if form.has_float_codes:
        # Rows of rounding to 4-bit floats with scales per group, and of nothing else.
        damage = damage * technology.value(parameter + "float_codes")
        damage = damage * (technology.value(parameter + "power_of_two_scales") if form.power_of_two_scales else 1.0)
        unseen = unseen | (method != "rtn") | (asarray(group) == 0)
    else:
        if form.has_scaled_integers:
            symmetric = asarray(form.zero_bits) == 0
            damage = damage * np.where(symmetric, symmetric_factor(bits, technology), 1.0)
        unseen = unseen | ((asarray(group) > 0) & (group < technology.value(parameter + "least_group")))
        unseen = unseen | (form.operand == "float" and not codebook)
    unseen = unseen & (damage > technology.value("quality.negligible_y")) | _model_unseen(model, parameter, technology)
    return _with_interval(damage, unseen, method, parameter, technology)


def _pruned(model: Model, form: WeightFormat, technology: Technology) -> Damage:
    if form.pruning is None:
        return UNHARMED
    parameter = "quality.pruning."
    damage = pruning_damage(
        form.sparsity,
        form.m if form.kind == "nm" else np.inf,
        _tokens(model, technology),
        _size(model),
        damage=technology.value(f"{parameter}damage.{form.pruning}"),
        technology=technology,
    )
    if form.kind == "nm":
        unseen = np.abs(asarray(form.sparsity) - technology.value(parameter + "nm_sparsity")) > 1e-9
        unseen = unseen | _outside(form.m, parameter + "least_block", parameter + "most_block", technology)
    else:
        unseen = _outside(form.sparsity, parameter + "least_sparsity", parameter + "most_sparsity", technology)
    unseen = unseen & (damage > technology.value("quality.negligible_y")) | _model_unseen(model, parameter, technology)
    return _with_interval(damage, unseen, form.pruning, parameter, technology)


def _with_interval(
    damage: FloatArray, unseen: BoolArray, method: str, parameter: str, technology: Technology
) -> Damage:
    below, above = (technology.value(f"{parameter}spread_{side}.{method}") for side in ("below", "above"))
    return Damage(damage, damage * np.exp(-below), damage * np.exp(above), np.where(unseen, 1.0, 0.0))


def _outside(value: Number, least: str, most: str, technology: Technology) -> BoolArray:
    return asarray((value < technology.value(least)) | (value > technology.value(most)), dtype=np.bool_)


def _model_unseen(model: Model, parameter: str, technology: Technology) -> BoolArray:
    """Return whether no measured model was like this one: dense, of its size and its training."""
    if model.training_tokens is None or model.moe is not None:
        return asarray(True)
    unseen = _outside(_size(model), parameter + "smallest_model", parameter + "largest_model", technology)
    return unseen | _outside(model.training_tokens, parameter + "least_tokens", parameter + "most_tokens", technology)

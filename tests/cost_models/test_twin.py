"""A slow twin of the main equations: one machine, one number at a time in plain Python, and every number with its unit.

It is written from what the equations mean, not from how they are vectorised: decode steps are taken one after the other
and a prompt's pairs are counted. A factor of eight, of a thousand or of the number of chips that is missing in either
does not convert.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pint
import pytest

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import serve_chip, serve_designs
from cost_models.evaluate.workload import Workload
from cost_models.library.technology import Technology
from cost_models.performance.metrics import workload_metrics
from cost_models.quantities.parameters import PARAMETERS
from cost_models.silicon.cost import Economics
from cost_models.table import Choice

UNITS = pint.UnitRegistry()
for definition in ("element = []", "row = []", "op = []", "token = []", "chip = []", "USD = [money]"):
    UNITS.define(definition)
Q = UNITS.Quantity
EXACT, TECHNOLOGY = 1e-9, Technology()


def value(path):
    return float(TECHNOLOGY.value(path))


def only(column):
    """Return the one number of a column."""
    return float(np.asarray(column).reshape(-1)[0])


class Of:
    """Numbers of a record of columns, with units where they have some."""

    def __init__(self, record, units):
        self._record, self._units = record, units

    def __getattr__(self, name):
        return Q(only(getattr(self._record, name)), self._units.get(name, ""))


MACHINE = {
    **dict.fromkeys(("linear_mac_per_s", "head_mac_per_s", "attention_mac_per_s", "vector_ops_per_s"), "op/s"),
    **dict.fromkeys(("linear_j_per_mac", "head_j_per_mac", "attention_j_per_mac", "vector_j_per_op"), "J/op"),
    **dict.fromkeys(("bandwidth_bytes_per_s", "link_bytes_per_s", "dequantize_bytes_per_s"), "byte/s"),
    **dict.fromkeys(("dram_j_per_byte", "sram_j_per_byte", "link_j_per_byte", "dequantize_j_per_byte"), "J/byte"),
    **dict.fromkeys(("static_w", "tdp_w"), "W"),
    **dict.fromkeys(("link_added_s", "link_hop_s"), "s"),
    **{"sram_bytes": "byte", "dequantize_macs": "op/element", "price_usd": "USD"},
}
STACK = {
    **dict.fromkeys(("kernel_s", "step_s", "sequence_s", "logit_s", "prefill_s"), "s"),
    **dict.fromkeys(("collective_base_s", "collective_hop_s", "collective_bulk_s"), "s"),
    **{"stream_limit_gbps": "GB/s", "dequantize_macs": "op/element"},
}
FORMATS = dict.fromkeys(
    ("weight_bits", "stored_expert_bits", "head_bits", "kv_bits", "activation_bits", "wide_bits", "exchanged_bits"),
    "bit/element",
)


@dataclass
class Work:
    """What one operator does once, on one chip."""

    kind: str
    times: float
    rows: float = 0.0
    weights: float = 0.0
    macs: float = 0.0
    activations: float = 0.0
    cache: float = 0.0
    query: float = 0.0
    kernels: int = 0
    reduced: float = 0.0
    vector: float = 0.0
    special: float = 0.0


def dealt(parts, chips):
    """Return the share of whole parts on the chip that has most."""
    return math.ceil(parts / chips) / parts


def layers(model, chips, tokens, scored, *, spread, times=1.0):
    """Return what has weights, for so many rows: a Llama or Mixtral with grouped queries and gated blocks."""
    d, head = model.d_model, model.head_dim
    queries = model.heads * head * dealt(model.heads, chips)
    keys = model.kv_heads * head * dealt(model.kv_heads, chips)
    many = model.layers * times
    work = [
        Work("linear", many, tokens, d * (queries + 2 * keys), 0, d + queries + 2 * keys, kernels=3,
             vector=4 * d + 2 * (queries + keys)),
        Work("linear", many, tokens, queries * d, 0, queries + d, kernels=1, reduced=tokens * d),
    ]  # fmt: skip
    if model.moe is None:
        columns = model.d_ff * dealt(model.d_ff, chips)
        work += [
            Work("linear", many, tokens, 2 * d * columns, 0, d + 3 * columns, kernels=3, vector=4 * d + 3 * columns,
                 special=2 * columns),
            Work("linear", many, tokens, d * columns, 0, columns + d, kernels=1, reduced=tokens * d),
        ]  # fmt: skip
    else:
        experts, each, columns = model.moe.experts, model.moe.active_experts, model.moe.expert_d_ff
        columns *= dealt(columns, chips)
        work.append(Work("head", many, tokens, d * experts, 0, d + experts, kernels=2, vector=4 * d + 3 * experts,
                         special=experts))  # fmt: skip
        met = experts * (1 - (1 - each / experts) ** (tokens**spread))
        slots = tokens * each
        work.append(
            Work("linear", many, slots / met, activations=2 * (slots + tokens) * d, kernels=2, vector=slots * d)
        )
        work.append(Work("expert", many, slots / met, met * 3 * d * columns, slots * 3 * d * columns,
                         slots * (2 * d + 3 * columns), kernels=2, reduced=tokens * d, vector=slots * 3 * columns,
                         special=slots * 2 * columns))  # fmt: skip
    vocabulary = model.vocab * dealt(model.vocab, chips)
    work.append(Work("head", 1, scored, d * vocabulary, 0, d + vocabulary, kernels=2, vector=4 * d))
    for one in work:
        if one.kind != "expert" and one.weights:
            one.macs = one.rows * one.weights
            one.activations, one.vector, one.special = (
                x * one.rows for x in (one.activations, one.vector, one.special)
            )
    return work


def attention(model, chips, batch, *, rows, pairs, met, kernels):
    """Return softmax attention of one layer: pairs of a token and one that it meets, and keys and values moved."""
    heads, per_pair = model.heads * dealt(model.heads, chips), 2 * model.head_dim
    scores = batch * heads * pairs
    return Work("attention", model.layers, batch * rows, macs=scores * per_pair, query=per_pair, kernels=kernels,
                activations=batch * rows * heads * per_pair, vector=3 * scores, special=scores,
                cache=batch * met * 2 * model.kv_heads * model.head_dim * dealt(model.kv_heads, chips))  # fmt: skip


class Twin:
    """A served workload, worked out once more."""

    def __init__(self, served):
        inference = served.planned
        self.machine, self.stack = Of(served.machine, MACHINE), Of(inference.software, STACK)
        self.formats, serving = Of(served.formats, FORMATS), inference.serving
        self.model, self.chips = serving.model, int(only(serving.tensor_parallel))
        self.batch, self.prompt = only(serving.batch), only(serving.prompt_tokens)
        self.output, self.spread = only(serving.output_tokens), only(serving.expert_spread)

    def element(self, work):
        """Return the width of an activation."""
        bits = self.formats.wide_bits if work.kind == "attention" else self.formats.activation_bits
        return (bits * Q(1, "element")).to("byte")

    def moved(self, work):
        """Return (bytes through the memory's interface, stored weights among them)."""
        form, sram, each = self.formats, self.machine.sram_bytes, self.element(work)
        bits = {"linear": form.weight_bits, "expert": form.stored_expert_bits, "head": form.head_bits}
        stored = (Q(work.weights, "element") * bits.get(work.kind, Q(0, "bit/element"))).to("byte")
        spilled = max(work.activations * each - sram, Q(0, "byte"))
        cache = (Q(work.cache, "element") * form.kv_bits).to("byte")
        elements = (sram / each).to("").m
        if work.kind == "attention":
            # As many queries with their outputs as half of the SRAM holds meet the keys and values that pass.
            held = elements / 2 / work.query
            again = (Q(work.macs / held, "element") * form.kv_bits).to("byte")
            scores = work.macs / work.query * each * self.stack.score_passes
        else:
            again, scores = 2 * work.macs / math.sqrt(elements) * each, Q(0, "byte")
        return (max(stored + spilled + cache, again) + scores).to("byte"), stored

    def slots(self, work):
        """Return the multiplications that a kernel takes, idle rows of its tiles with them."""
        stack, rows = self.stack, max(work.rows, 1.0)
        if work.kind == "attention":
            return Q(work.macs, "op")
        few = rows <= stack.vector_rows.m
        if work.kind == "expert":
            least, most = stack.expert_rows.m, max(stack.expert_most_rows.m, stack.expert_rows.m)
            tile = min(max(rows, least), most)
            taken = rows if few or stack.expert_rows.m <= 1 else max(tile, rows + tile / 2)
        else:
            taken = rows if few else stack.tile_rows.m * math.ceil(rows / stack.tile_rows.m)
        slots = Q(work.macs * taken / rows, "op")
        if work.kind in ("linear", "expert"):
            weights = Q(work.weights, "element")
            slots += (
                self.formats.dequantized * weights * math.ceil(rows / stack.dequantize_rows.m) * stack.dequantize_macs
            )
            slots += weights * math.ceil(rows / self.machine.dequantize_rows.m) * self.machine.dequantize_macs
        return slots.to("op")

    def parts(self, work, share):
        """Return (memory, arithmetic) time of an operator."""
        machine, stack, form = self.machine, self.stack, self.formats
        reached = stack.attention_bandwidth_efficiency if work.kind == "attention" else stack.bandwidth_efficiency
        rate = min(machine.bandwidth_bytes_per_s * machine.stream_efficiency * reached, stack.stream_limit_gbps)
        memory, body = self.moved(work)[0] / rate, work.kind in ("linear", "expert")
        if body:
            memory *= 1 + form.dequantized * (1 / stack.dequantize_bandwidth_efficiency - 1)
        macs = {
            "linear": machine.linear_mac_per_s,
            "expert": machine.linear_mac_per_s * stack.expert_efficiency,
            "head": machine.head_mac_per_s,
            "attention": machine.attention_mac_per_s * share,
        }[work.kind]
        if work.kind != "attention":
            macs *= stack.gemm_efficiency
        if body:
            halvings = math.log2(16 / min(form.operand_bits.m, 16))
            macs *= stack.narrow_gemm_efficiency.m**halvings
            macs /= 1 + form.dequantized.m * (1 / stack.dequantize_compute_efficiency.m - 1)
        arithmetic = self.slots(work) / macs
        if math.isfinite(machine.vector_ops_per_s.m):
            beside = Q(work.vector + work.special * machine.special_function_ops.m, "op")
            arithmetic = max(arithmetic, beside / (machine.vector_ops_per_s * stack.gemm_efficiency))
        return memory.to("s"), arithmetic.to("s")

    def around(self, work):
        """Return the time of starting kernels and of summing over chips."""
        machine, stack = self.machine, self.stack
        seconds = work.kernels * stack.kernel_s * stack.kernels_launched
        if work.reduced and self.chips > 1:
            sent = self.sent(work) * max(self.chips / 2, 1) ** machine.link_rivalry.m
            bulk = stack.collective_bulk_s + sent / (machine.link_bytes_per_s * stack.collective_fraction)
            quick = sent / (machine.link_bytes_per_s * stack.collective_quick_fraction)
            seconds += min(quick, bulk) if stack.collective_bulk_s.m > 0 else bulk
            seconds += stack.collective_base_s + machine.link_added_s
            seconds += (self.chips - 2) * (stack.collective_hop_s + machine.link_hop_s)
        return seconds.to("s")

    def sent(self, work):
        """Return what a chip sends in an all-reduce round a ring: its part to each other chip, and sums back."""
        size = (Q(work.reduced, "element") * self.formats.exchanged_bits).to("byte")
        return 2 * size * (self.chips - 1) / self.chips

    def seconds(self, work, share):
        """Return the time of an operator."""
        memory, arithmetic = self.parts(work, share)
        hidden = min(memory, arithmetic) * self.stack.non_overlapped_fraction
        return max(memory, arithmetic) + hidden + self.around(work)

    def step(self, context):
        """Return what a decode step does at one context."""
        fixed = layers(self.model, self.chips, self.batch, self.batch, spread=self.spread)
        return [
            *fixed,
            attention(self.model, self.chips, self.batch, rows=1, pairs=context, met=context + 1, kernels=2),
        ]

    @property
    def sharing(self):
        """Query heads of a chip for each of its key-value heads."""
        return math.ceil(self.model.heads / self.chips) / math.ceil(self.model.kv_heads / self.chips)

    @property
    def share(self):
        """Share of the arithmetic rate that single queries reach."""
        stack, queries = self.stack, self.sharing
        rows = stack.attention_rows.m
        filled = queries / (rows * math.ceil(queries / rows))
        return max(stack.decode_attention_compute_efficiency.m, stack.attention_compute_efficiency.m * filled)

    def host(self):
        """Return the time of a pass outside of operators."""
        each = self.stack.sequence_s + self.model.vocab * self.stack.logit_s
        return self.stack.step_s + self.batch * each

    @cached_property
    def decode(self):
        """Return the mean (time, energy by cause) of all decode steps."""
        contexts = [self.prompt + number for number in range(1, int(self.output) + 1)]
        if self.machine.static_shapes > 0:
            # A schedule made beforehand sweeps the longest of them at every step.
            contexts = contexts[-1:]
        steps = [self.step(context) for context in contexts]
        seconds = [sum(one.times * self.seconds(one, self.share) for one in work) + self.host() for work in steps]
        mean = sum(seconds) / len(steps)
        energies = [self.energy(work, mean, decode=True) for work in steps]
        return mean, {name: sum(one[name] for one in energies) / len(steps) for name in energies[0]}

    @cached_property
    def prefill(self):
        """Return (time, energy by cause) of the prompts."""
        rows, prompt = self.batch * self.prompt, int(self.prompt)
        chunks = max(math.ceil(rows / self.stack.chunk_rows.m), 1)
        work = layers(self.model, self.chips, rows / chunks, self.batch, spread=self.spread, times=chunks)
        pairs = sum(range(1, prompt + 1))
        work.append(attention(self.model, self.chips, self.batch, rows=prompt, pairs=pairs, met=2 * prompt, kernels=1))
        share = self.stack.attention_compute_efficiency.m
        seconds = sum(one.times * self.seconds(one, share) for one in work) + self.host() + self.stack.prefill_s
        return seconds, self.energy(work, seconds, decode=False)

    def energy(self, work, seconds, *, decode):
        """Return the energy of a pass over all chips by cause."""
        machine, none, alone = self.machine, Q(0, "J"), self.stack.decode_attention_energy - 1
        parts = dict.fromkeys(("memory", "arithmetic", "on_chip", "dequantizing", "links"), none)
        for one in work:
            total, stored = self.moved(one)
            many = one.times * self.chips
            parts["memory"] += many * total * machine.dram_j_per_byte
            crossing = total + one.activations * self.element(one)
            parts["on_chip"] += many * crossing * machine.sram_j_per_byte
            each = {
                "head": machine.head_j_per_mac,
                "attention": machine.attention_j_per_mac * (1 + (alone / self.sharing if decode else 0)),
            }.get(one.kind, machine.linear_j_per_mac)
            parts["arithmetic"] += many * Q(one.macs, "op") * each
            vector = Q(one.vector + one.special * machine.special_function_ops.m, "op")
            parts["arithmetic"] += many * vector * machine.vector_j_per_op
            if one.kind in ("linear", "expert"):
                tiles = math.ceil(max(one.rows, 1) / machine.dequantize_rows.m)
                widened = Q(one.weights, "element") * tiles * machine.dequantize_macs
                parts["arithmetic"] += many * widened * machine.linear_j_per_mac
                parts["dequantizing"] += many * stored * machine.dequantize_j_per_byte
            if self.chips > 1:
                parts["links"] += many * self.sent(one) * machine.link_j_per_byte
        active = self.stack.active_fraction
        parts["active"] = self.chips * active * machine.tdp_w * seconds if active > 0 else none
        parts["static"] = self.chips * machine.static_w * seconds
        return {name: joules.to("J") for name, joules in parts.items()}

    def board(self, parts, seconds):
        """Return what the boards draw from the supply, held at their limit."""
        drawn = sum(parts.values()) / self.machine.conversion_efficiency
        return min(drawn, self.machine.tdp_w * self.chips * seconds).to("J")


CASES = {
    "two_gpus": ("h100_sxm", "bf16", "gpu_serving", 2, "llama3_70b", 48.0, 700.0, 24.0),
    "narrow_weights": ("a100_80gb_sxm", "int4_g128", "vllm", 1, "llama3_8b", 3.0, 300.0, 16.0),
    "experts": ("h100_sxm", "fp8", "gpu_serving", 4, "mixtral_8x7b", 40.0, 9000.0, 8.0),
    "boards_in_a_host": ("l40s", "fp8", "vllm", 4, "llama3_8b", 5.0, 64.0, 12.0),
}
DESIGNS = {
    "static": ({"act_bits": 16.0, "architecture": "static"}, "llama3_8b", 16.0, 500.0, 20.0),
    "bits_expanded": ({"act_bits": 8.0, "weight_format": "int4_g128", "mac_format": "int8xint8",
                       "weight_execution": "dequantize", "sram_mib": 16.0}, "mixtral_8x7b", 24.0, 128.0, 16.0),
    "programmable": ({"architecture": "programmable", "vector_lanes": 64.0, "memory_devices": 4.0,
                      "act_bits": 16.0, "weight_format": "bf16", "mac_format": "bf16xbf16"}, "llama3_8b", 2.0,
                     2000.0, 10.0),
}  # fmt: skip


def served(case):
    if case in CASES:
        chip, form, stack, chips, model, batch, prompt, output = CASES[case]
        work = Workload("w", model, batch=batch, prompt_tokens=prompt, output_tokens=output, n_chips=chips)
        return serve_chip(
            ChipSetup(chip, form, act_bits=8 if form == "fp8" else 16, serving_stack=stack), work, TECHNOLOGY
        )
    settings, model, batch, prompt, output = DESIGNS[case]
    columns = {key: Choice.of(one) if isinstance(one, str) else np.array([one]) for key, one in settings.items()}
    work = Workload("w", model, batch=batch, prompt_tokens=prompt, output_tokens=output)
    return serve_designs(columns, work, TECHNOLOGY, Economics.of(TECHNOLOGY.library))


@pytest.fixture(scope="module", params=[*CASES, *DESIGNS])
def both(request):
    """A workload on a machine, and its twin."""
    one = served(request.param)
    return one, Twin(one)


def near(column, quantity, unit):
    assert only(column) == pytest.approx(quantity.to(unit).m, rel=EXACT)


def test_time_and_energy_of_a_decode_step(both):
    one, twin = both
    seconds, parts = twin.decode
    near(one.inference.decode_s, seconds, "s")
    energy = one.inference.pass_energy
    assert energy.parts_j.keys() == parts.keys()
    for name, joules in parts.items():
        near(energy.parts_j[name], joules, "J")
    board = twin.board(parts, seconds)
    near(energy.board_j, board, "J")
    near(energy.board_w, board / seconds, "W")
    metrics = workload_metrics(one, TECHNOLOGY)
    near(metrics["decode_j_per_token"], board / twin.batch, "J")
    near(metrics["tokens_per_joule"], twin.batch / board, "1/J")
    near(metrics["tokens_per_s"], twin.batch / seconds, "1/s")


def test_time_and_energy_of_a_prefill(both):
    one, twin = both
    seconds, parts = twin.prefill
    near(one.inference.prefill_s, seconds, "s")
    for name, joules in parts.items():
        near(one.inference.prefill_energy.parts_j[name], joules, "J")
    metrics = workload_metrics(one, TECHNOLOGY)
    near(metrics["ttft_ms"], seconds, "ms")
    near(metrics["prefill_j_per_token"], twin.board(parts, seconds) / (twin.batch * twin.prompt), "J")


def test_what_a_request_takes_and_costs(both):
    one, twin = both
    (step, of_step), (first, of_first) = twin.decode, twin.prefill
    metrics = workload_metrics(one, TECHNOLOGY)
    request = first + (twin.output - 1) * step
    near(metrics["request_s"], request, "s")
    tokens = Q(twin.batch * twin.output, "token")
    joules = twin.board(of_first, first) + (twin.output - 1) * twin.board(of_step, step)
    near(metrics["request_j_per_token"], joules / tokens, "J/token")
    rate = tokens / request
    near(metrics["tokens_per_s_end_to_end"], rate, "token/s")
    # A data centre over a year: boards and servers paid back, a building per watt, and electricity at the plug.
    chips, used = twin.chips, value("tco.utilisation")
    year = Q(365.25, "day")

    def paid_back(dollars, years):
        """Return the yearly payment after which nothing is owed."""
        rate = value("tco.cost_of_capital")
        return dollars / sum((1 + rate) ** -number for number in range(1, int(years) + 1)) / year

    hosts = chips * Q(value("board.host_w_per_accelerator"), "W")
    busy = joules / request + hosts
    idle = chips * twin.machine.static_w / twin.machine.conversion_efficiency + hosts
    set_aside = chips * twin.machine.tdp_w + hosts
    at_plug = (used * busy + (1 - used) * idle) * value("tco.pue") / value("board.psu_efficiency")
    servers = chips * (twin.machine.price_usd + Q(value("board.host_server_usd_per_accelerator"), "USD"))
    spent = paid_back(servers, value("tco.amortisation_years"))
    building = set_aside * Q(value("tco.datacenter_capex_usd_per_w"), "USD/W")
    spent += paid_back(building, value("ownership.datacenter_years"))
    spent += at_plug * Q(value("tco.electricity_usd_per_kwh"), "USD/kWh")
    near(metrics["usd_per_million_tokens"], spent / (used * rate) * Q(1e6, "token"), "USD")


def test_memory_of_weights_cache_and_activations(both):
    one, twin = both
    model, form = twin.model, twin.formats
    d, head = model.d_model, model.head_dim
    per_layer = d * head * (2 * model.heads + 2 * model.kv_heads)
    routed, dense = 0, 3 * d * model.d_ff if model.moe is None else d * model.moe.experts
    if model.moe is not None:
        routed = 3 * d * model.moe.expert_d_ff * model.moe.experts
    body = Q(model.layers * (per_layer + dense), "element") * form.weight_bits
    experts = Q(model.layers * routed, "element") * form.stored_expert_bits
    tables = Q((1 if model.tied_embeddings else 2) * model.vocab * d, "element") * form.head_bits
    norms = Q((2 * model.layers + 1) * d, "element") * form.wide_bits
    length = twin.prompt + twin.output
    cache = Q(twin.batch * length * model.layers * 2 * model.kv_heads * head, "element") * form.kv_bits
    rows = min(twin.batch * twin.prompt, twin.stack.chunk_rows.m)
    activations = Q(rows * (2 * d + 2 * (model.d_ff or 0)), "element") * form.activation_bits
    held = one.inference.footprint
    near(held.weights_bytes, body + experts + tables + norms, "byte")
    near(held.kv_bytes, cache, "byte")
    near(held.activations_bytes, activations, "byte")
    near(workload_metrics(one, TECHNOLOGY)["memory_gib"], body + experts + tables + norms + cache + activations, "GiB")


@pytest.mark.parametrize("case", DESIGNS)
def test_a_die_from_wafer_to_price(case):
    one = served(case)
    dollars, machine = one.machine.blocks["cost_usd"], one.machine
    terms = Economics.of(TECHNOLOGY.library)
    areas = one.machine.blocks["area_mm2"]
    die = sum((Q(only(block), "mm^2") for block in areas.values()), Q(0, "mm^2"))
    near(machine.die_mm2, die, "mm^2")
    node = f"nodes.{PARAMETERS['node'].default}."
    side = die**0.5 + Q(value("formulas.gross_dies_edge.scribe_mm"), "mm")
    usable = Q(value("wafer.diameter_mm"), "mm") - 2 * Q(value("formulas.gross_dies_edge.edge_mm"), "mm")
    # Those that the usable disc would hold, less half a diagonal's ring of dies that its border cuts.
    gross = math.pi * (usable / 2) ** 2 / side**2 - math.pi * usable / (math.sqrt(2) * side)
    alpha = value("formulas.yield_negative_binomial.alpha")
    # No defect in blank silicon kills a die.
    circuits = die - Q(only(areas["blank"]), "mm^2")
    defects = circuits * value("formulas.critical_area_ratio") * Q(value(f"{node}defect_density_per_cm2"), "1/cm^2")
    good = (1 + defects.to("").m / alpha) ** -alpha
    wafer = Q(value(f"{node}wafer_price_usd"), "USD") / value("formulas.good_die_cost.wafer_line_yield")
    near(dollars["die"], wafer / gross / good, "USD")
    near(dollars["die_test"], Q(value("assembly.die_test_usd"), "USD") / good, "USD")
    cost = sum((Q(only(block), "USD") for block in dollars.values()), Q(0, "USD"))
    near(machine.cost_usd, cost, "USD")
    once = Q(value(f"{node}mask_set_usd"), "USD") + terms.nre_share * Q(value(f"{node}design_nre_usd"), "USD")
    near(machine.price_usd, (cost + once / terms.units) / (1 - terms.margin), "USD")


def test_metrics_of_users_and_of_prompts_are_there_where_there_are_any():
    one = served("narrow_weights")
    assert "goodput_tokens_per_s" not in workload_metrics(one, TECHNOLOGY)
    asked = workload_metrics(one, TECHNOLOGY, ("goodput_tokens_per_s", "tpot_ms"))
    assert np.isnan(asked["goodput_tokens_per_s"]).all() and np.isfinite(asked["tpot_ms"]).all()
    work = Workload("w", "llama3_8b", prompt_tokens=np.array([0.0, 64.0]), output_tokens=8.0)
    alone = workload_metrics(serve_chip(ChipSetup("h100_sxm", "bf16"), work, TECHNOLOGY), TECHNOLOGY)
    assert np.isnan(alone["prefill_j_per_token"]).tolist() == [True, False]

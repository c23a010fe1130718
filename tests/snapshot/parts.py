"""Parts of the models on arguments all over their range and at its ends, for `test_numbers.py` to hold.

Designs of a sweep are alike: most of them are far from a full memory, an empty queue or the last rung of a ladder. Here
the parts are asked by themselves, with arguments that are drawn and some that are set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.serve import Prefill, serve_chip
from cost_models.evaluate.workload import Conversation, Drafting, Workload, prompts_of
from cost_models.library.technology import Technology
from cost_models.performance import fleet, interconnect, kernels
from cost_models.performance.disaggregation import Network
from cost_models.performance.envelope import envelope_machine
from cost_models.performance.goodput import goodput
from cost_models.performance.metrics import workload_metrics
from cost_models.performance.operating_point import Slo
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.serving_queue import Queue
from cost_models.performance.serving_stack import software
from cost_models.performance.step_times import StepTimes
from cost_models.performance.waits import Served, Wait, in_turn, lognormal_cv
from cost_models.silicon import cost, dies, power
from cost_models.silicon.beachfront import Edge, along_the_sides, least_die_mm2, max_bandwidth, units_around
from cost_models.silicon.machine import Nodes
from cost_models.table import Choice, FloatArray
from cost_models.workload.speculation import Speculation

ENGINES = 300
LOADS = (1e-9, 0.05, 0.3, 0.6, 0.9, 0.99, 0.998, 1.01, 1.3)
"""Shares of what an engine takes at most."""

SHARES = (0.3, 0.5, 0.95, 0.999)


def spread(random: np.random.Generator, low: float, high: float, rows: int = ENGINES) -> FloatArray:
    """Return numbers all over some orders of magnitude."""
    return np.exp(random.uniform(np.log(low), np.log(high), rows))


def engines() -> tuple[StepTimes, Traffic]:
    """Return engines of all kinds, and their traffic: few places and many, prompts in one step and in several.

    Steps rise evenly, in stairs, ever faster and ever more slowly; some take nothing for prompts, or nothing else.
    """
    random = np.random.default_rng(1)

    def some(*values: float) -> FloatArray:
        return random.choice(values, ENGINES)

    room = spread(random, 0.1, 30)
    room[::5] = some(0.5, 1, 2)[::5]
    chunks = np.maximum(np.ceil(1 / room), 1.0)
    tile = some(1, 1, 8, 64)
    batches = np.stack([np.zeros(ENGINES), np.ones(ENGINES), tile, 2 * tile, *(tile * 8.0**k for k in range(1, 6))])
    step = spread(random, 0.005, 0.05)
    rises = spread(random, 1e-5, 1e-3) * np.cumprod(spread(random, 0.5, 3.0, (len(batches) - 1, ENGINES)), axis=0)
    rises *= some(0, 1, 1, 1)
    decode_s = step + np.cumsum(np.diff(batches, axis=0) * rises, axis=0) - rises[0]
    prompt_s, own_s = spread(random, 1e-3, 1.0) * some(0, 1, 1, 1, 1, 1), spread(random, 1e-3, 0.1)
    own_s = np.minimum(own_s, decode_s[0] * chunks)
    steps = StepTimes(
        batches,
        np.concatenate([(own_s / chunks)[None], decode_s]),
        prompt_s,
        prompt_s + own_s,
        chunks,
        room,
        some(0, 0.5, 1, 10, 100, 400, 2000),
        some(0, 1, 2, 3, 8, 15, 16, 17, 18, 64, 200, 512, 20000),
        tile,
        wait_s=some(0, 0.001, 0.02, 0.5),
    )
    traffic = Traffic(arrival_cv=some(0, 0.5, 1, 1, 1.5, 3), prompt_cv=some(0, 0, 0.7, 1.5), output_cv=some(0, 1))
    return steps, traffic


def told(seen: Served) -> dict[str, FloatArray]:
    """Return all that users see."""
    columns = {"rate": seen.requests_per_s, "load": seen.utilisation, "decoding": seen.decoding}
    columns |= {"inside": seen.concurrency, "steps": seen.decode_steps}
    for name, wait in (("ttft", seen.ttft), ("tpot", seen.tpot)):
        columns |= {f"{name} {key}": column for key, column in waited(wait).items()}
    return columns


def waited(wait: Wait) -> dict[str, FloatArray]:
    """Return what a wait is in the mean and at shares of the users, and 1 and the share that waits so long at most."""
    columns = {"mean": wait.mean_s}
    for share in SHARES:
        columns[f"at {share}"] = wait.quantile_s(share, halvings=40)
    # Limits are apart from where all of a case wait alike: there a rounding would count.
    least, beyond = np.where(np.isfinite(wait.least_s), wait.least_s, 0.0), (wait.shares * wait.extra_s).sum(axis=0)
    for part in (-0.01, 0.37, 1.07, 1.53, 20.1):
        columns[f"within {part}"] = 1 + wait.share_within(least + part * (beyond + 1e-3))
    return columns


def queues() -> dict[str, Any]:
    """Return what users of made-up engines see at loads and in loops, and the goodput within limits."""
    steps, traffic = engines()
    queue = Queue(steps, traffic)
    columns: dict[str, Any] = {"capacity": queue.capacity_per_s, "varied": queue.work_cv2}
    seen = {f"load {load}": queue.open(load * queue.capacity_per_s) for load in LOADS}
    seen |= {f"loop {requests}": queue.closed(requests) for requests in (0.5, 1, 1.7, 2, 7, 16, 17, 90, 3000)}
    seen["alone"] = queue.alone
    drafting = Speculation(np.array([4.0]), np.array([0.6]))
    drafted = Queue(replace(steps, speculation=drafting), traffic)
    seen |= {"drafted": drafted.open(0.5 * queue.capacity_per_s), "drafted loop": drafted.closed(5)}
    apart = Wait.of(-0.01 * steps.alone_s, ((steps.most * 0 + 0.3, steps.prompt_s, steps.prompt_s**2),))
    seen["apart"] = Queue(replace(steps, apart=apart), traffic).open(0.5 * queue.capacity_per_s)
    for name, one in seen.items():
        columns |= {f"{name}: {key}": column for key, column in told(one).items()}
    random = np.random.default_rng(2)
    least = steps.least_s
    far = (least[0] * (1 + spread(random, 0.01, 100)), least[1] * (1 + spread(random, 0.01, 100)))
    limits = {"both": far, "first": (far[0], np.inf), "token": (np.inf, far[1]), "none": (np.inf, np.inf)}
    limits |= {"hardly": (least[0] * 1.001, least[1] * 1.001), "less": (least[0] * (1 - 1e-9), far[1])}
    for name, pair in limits.items():
        columns[f"goodput {name}"] = goodput(steps, traffic, pair)
        columns[f"goodput {name} at 90 %"] = goodput(steps, replace(traffic, limit_percentile=90.0), pair)
    columns["goodput drafted"] = goodput(replace(steps, speculation=drafting), traffic, far)
    for number in (0.5, 1.0, 1.5, 8.0, 9.0, 64.0, 65.0, 700.0, 1e5):
        columns[f"step of {number}"] = steps.step_s(np.full(ENGINES, number))
        columns[f"mean step of {number}"] = steps.mean_step_s(np.full(ENGINES, number))
        columns[f"flow at {number}"] = steps.even_flow(least[1] * (1 + number / 10))
        columns[f"number at {number}"] = steps.even_number(queue.capacity_per_s * number / 10)
    return columns


def waits() -> dict[str, Any]:
    """Return what waits of drawn cases are, by themselves, one after the other, and for each of several tokens."""
    random = np.random.default_rng(3)
    rows = 200

    def drawn(**fields: Any) -> Wait:
        shares = random.dirichlet(np.ones(4), rows).T[:3] * random.choice([0.2, 1.0], rows)
        extra = spread(random, 1e-3, 10, (3, rows)) * random.choice([0, 1, 1, 1], (3, rows))
        var = (extra * spread(random, 1e-3, 4, (3, rows))) ** 2 * random.choice([0, 1, 1, 1], (3, rows))
        return Wait.of(spread(random, 1e-3, 1, rows), list(zip(shares, extra, var, strict=True)), **fields)

    floor = spread(random, 1e-4, 1e-2, (3, rows)) * random.choice([0, 1], (3, rows))
    kinds = {"plain": drawn(), "even": drawn(even=True), "bounded": drawn(most_s=0.5), "raised": drawn(floor_s=floor)}
    kinds["in turn"] = in_turn(kinds["plain"], kinds["bounded"])
    none = np.zeros(rows)
    tokens = Served(none, kinds["plain"], kinds["raised"], random.choice([0, 0.5, 1, 3, 400], rows), none, none)
    for draft, chance in ((0.0, 0.5), (3.0, 0.0), (3.0, 0.7), (7.0, 1.0)):
        each = tokens.per_token(Speculation(np.array([draft]), np.array([chance])))
        kinds[f"{draft} of {chance}"] = each.tpot
    columns = {f"{name}: {key}": column for name, wait in kinds.items() for key, column in waited(wait).items()}
    return columns | {"lognormal": lognormal_cv(np.array([np.nan, 0.5, 1.0, 1.5, 3.0, 3.8, 3.9, 10.0]))}


def edges() -> dict[str, Any]:
    """Return the least dies along which interfaces have a place, how many others hold, and where they stand."""
    random, technology, rows = np.random.default_rng(4), Technology(), 300

    def some(*values: float) -> FloatArray:
        return random.choice(values, rows)

    units, width = some(0, 1, 2, 3, 5, 8, 16, 33, 80), spread(random, 0.5, 12, rows)
    first = Edge(units, np.where(units > 0, width, 0.0), some(0, 1), some(0, 7, 14), some(0, 0, 11, 40))
    both = replace(
        first, second_units=some(0, 1, 2, 7, 24), second_mm=spread(random, 0.5, 12, rows), second_stacked=some(0, 0, 1)
    )
    columns: dict[str, Any] = {}
    for name, edge in (("one", first), ("two", both)):
        least = least_die_mm2(edge, technology)
        columns[f"least {name}"] = least
        for part in (0.3, 0.9, 1.0, 1.7):
            columns[f"around {name} at {part}"] = units_around(least * part, edge, technology)
        for larger in (1 + 1e-9, 1.2, 3.0):
            pieces = [
                (row, name_of, side, low, high)
                for row in range(0, rows, 3)
                for name_of, where in along_the_sides(
                    max(float(least[row]), 1.0) * larger,
                    Edge(*(column[row : row + 1] if len(column) > 1 else column for column in vars(edge).values())),
                    technology,
                ).items()
                for side, low, high in where
            ]
            places = np.array([(row, side, low, high) for row, _, side, low, high in pieces])
            of = np.array([name_of for _, name_of, *_ in pieces])
            for kind in np.unique(of):
                for place, what in enumerate(("row", "side", "from", "to")):
                    columns[f"{name} at {larger:.1f}: {kind} {what}"] = places[of == kind, place]
    return columns


def served(chip: str, model: str, **fields: Any) -> dict[str, Any]:
    """Return all metrics of users on chips of the library."""
    limits, prefill = fields.pop("limits", None), fields.pop("prefill", None)
    work = Workload("w", model, batching="continuous", **fields)
    technology, setup = Technology(), ChipSetup(chip, "fp8", kv_bits=8, act_bits=8)
    result = serve_chip(setup, work, technology, limits=limits, prefill=prefill)
    return dict(workload_metrics(result, technology))


def prefill(chip: str, model: str, layout: str, network: Network, **fields: Any) -> Prefill:
    """Return a pool that prefills."""
    work = prompts_of(Workload("w", model, batching="continuous", **fields), layout)
    return Prefill(serve_chip(ChipSetup(chip, "fp8", kv_bits=8, act_bits=8), work, Technology()), network)


def users() -> dict[str, Any]:
    """Return the metrics of users: conversations with caches and links of all sizes, two pools, few and many tokens."""
    random, rows = np.random.default_rng(5), 40

    def some(*values: float) -> FloatArray:
        return random.choice(values, rows)

    def talk(**fields: Any) -> Conversation:
        return Conversation(some(1, 2, 6, 20), some(0.5, 20, 300), **fields)

    tier = {"tier": "ddr5", "tier_gib": some(0, 1, 20, 300), "tier_gbps": some(0.1, 1, 10, 100)}
    told = some(np.nan, 0, 0.4, 1)
    loads = Traffic(arrivals_per_s=some(1e-6, 0.3, 3, 12))
    slow, strict = Slo(5000.0, 100.0), Slo(500.0, 30.0, 20_000.0)
    lengths = {"prompt_tokens": 400.0, "output_tokens": 200.0}
    made: dict[str, dict[str, Any]] = {
        "kept": {"traffic": loads, "conversation": talk(kept_gib=some(0, 0.5, 4, 40))},
        "tier": {"traffic": loads, "conversation": talk(**tier)},
        "both": {"traffic": loads, "conversation": talk(kept_gib=some(0, 0.5, 4), **tier), "parallelism": "dp2"},
        "told": {"traffic": loads, "conversation": talk(hit_share=told)},
        "told tier": {"traffic": loads, "conversation": talk(hit_share=told, kept_gib=1.0, **tier)},
        "loop": {"traffic": Traffic(concurrency=some(1, 5, 60)), "conversation": talk(**tier), "parallelism": "dp2"},
        "goodput": {"limits": strict, "conversation": talk(kept_gib=1.0, **tier)},
        "at 90 %": {
            "limits": slow, "conversation": talk(**tier),
            "traffic": Traffic(limit_percentile=90.0, arrival_cv=1.5, prompt_cv=0.5),
        },
        "short": {"traffic": loads, "output_tokens": some(1, 2, 9), "prompt_tokens": some(1, 30, 9000)},
        "crowd": {"traffic": Traffic(some(20, 60, 200)), "limits": strict, "prefix_cached": some(0, 0.4, 1, 300)},
        "drafts": {"limits": slow, "drafting": Drafting(some(0, 3), some(0, 0.7, 1), "llama32_1b")},
        "servers": {"limits": slow, "n_chips": some(1, 4, 16), "node_chips": 4.0, "network_gbps": 25.0},
    }  # fmt: skip
    columns = {
        f"{name}: {metric}": column
        for name, fields in made.items()
        for metric, column in served("h100_sxm", "llama3_8b", **{**lengths, "n_chips": 2.0, **fields}).items()
    }
    lengths = {"prompt_tokens": 2000.0, "output_tokens": 300.0}
    apart: dict[str, dict[str, Any]] = {
        "goodput": {"limits": Slo(2000.0, 50.0, 30_000.0)},
        "at 95 %": {"limits": Slo(2000.0, 50.0), "traffic": Traffic(limit_percentile=95.0, arrival_cv=1.5)},
        "load": {"limits": Slo(2000.0, 50.0), "traffic": Traffic(arrivals_per_s=some(0.01, 2, 9, 40), prompt_cv=0.4)},
        "copies": {"limits": Slo(2000.0, 20.0), "parallelism": "dp2"},
        "loose": {"limits": Slo(600_000.0, 10_000.0)},
        "drafts": {"limits": Slo(2000.0, 50.0), "drafting": Drafting(3.0, 0.7, "llama32_1b")},
        "words": {"limits": Slo(2000.0, 50.0), "output_tokens": some(1, 2, 40)},
        "late": {"limits": Slo(20.0, 50.0)},
    }  # fmt: skip
    pairs = (("h100_sxm", "h100_sxm"), ("rubin_cpx", "h100_sxm"), ("h100_sxm", "rtx_4090"))
    for place, (name, fields) in enumerate(apart.items()):
        first, second = pairs[place % len(pairs)]
        for layout, gbps in (("tp1", 50.0), ("tp2_dp2", 0.4)):
            network = Network(gbps * 1e9, 0.002, 30.0 * gbps, 0.5 * gbps)
            work = {**lengths, **{key: one for key, one in fields.items() if key != "limits"}}
            pool = prefill(first, "llama3_8b", layout, network, **work)
            found = served(second, "llama3_8b", **{"n_chips": 2.0, **work}, limits=fields["limits"], prefill=pool)
            columns |= {f"apart {name} over {gbps}: {metric}": column for metric, column in found.items()}
    return columns


def silicon() -> dict[str, Any]:
    """Return yields, costs, clocks, dies and what a die carries, from nothing to more than can be built."""
    technology, columns = Technology(), {}
    die, defects = np.geomspace(1, 3000, 12), np.array([0.0, 1e-3, 0.1, 1.0, 30.0])[:, None]
    columns["gross"] = cost.gross_dies(die, diameter_mm=300.0, edge_mm=3.0, scribe_mm=0.1)
    for model in ("negative_binomial", "poisson", "murphy"):
        columns[f"yield {model}"] = cost.die_yield(die, defects, model=model, alpha=2.0).ravel()
        for cores, spare in ((1.0, 1.0), (8.0, 0.0), (16.0, 3.0)):
            columns[f"harvest {model} {cores}"] = cost.harvested_yield(
                defects,
                core_fraction=np.array([0.0, 0.3, 0.9, 1.0]),
                cores=cores,
                spare_cores=spare,
                model=model,
                alpha=2.0,
            ).ravel()
    columns["annuity"] = cost.annuity(np.array([1.0, 5.0, 20.0]), np.array([0.0, 1e-3, 0.08, 1.0])[:, None]).ravel()
    years = (1990.0, 2023.0, 2023.4, 2025.0, 2025.9, 2026.0, 2100.0)
    columns["years"] = np.array([float(cost.memory_price_factor(year, technology)) for year in years])
    columns["board"] = cost.board_usd(np.array([0.0, 75.0, 150.0, 500.0, 700.0, 2000.0]), technology)
    law = {"threshold": 0.35, "alpha": 1.3}
    speed = np.array([1e-3, 0.2, 0.7, 1.0, 1.2, 2.0, 4.0])
    columns["clock"] = power.clock_ratio(np.array([0.2, 0.35, 0.5, 1.0, 1.5]), **law)
    columns["supply"] = power.supply_ratio(speed, **law)
    columns["guarded supply"] = power.guarded_supply_ratio(speed, guard=0.1, **law)
    columns["guarded clock"] = power.guarded_clock_ratio(np.array([0.05, 0.1, 0.4, 0.9, 1.2]), guard=0.1, **law)
    number = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 8.0])
    columns["facing"], columns["joints"] = dies.facing_over_root(number, 1.3), dies.joints(number)
    columns["outline"] = dies.outline_edge_mm(
        np.full((3, 1), 20.0), np.array([[0.0], [9.0], [90.0]]), dies=number, aspect_ratio=1.3
    ).ravel()
    columns["assembled"] = dies.assembled_fraction(number, bond_yield=0.99, known_good_fraction=0.98)
    for grade in ("lpddr5x_9600", "gddr7_32", "hbm3e", "stacked_dram", "hbf"):
        for watts in (0.0, 400.0, 3000.0):
            found = max_bandwidth(Choice.of(grade), die, supply_w=watts, supply_v=0.75, technology=technology)
            told = {**found.units, "gbps": found.gbps, "mm2": found.interface_mm2, "share": found.delivered_fraction}
            columns |= {f"{grade} at {watts} W: {name}": column for name, column in told.items()}
    for kernel in technology.library.parameters:
        of, _, rest = kernel.partition(".")
        name, _, last = rest.partition(".")
        if of == "weight_only_kernels" and last == "rows_per_pass":
            gains = [
                kernels.weight_only_gain(np.array([1.0, 2, 8, 9, 16, 17, 64, 65, 300, 5000]), name, ridge, technology)
                for ridge in (20.0, 300.0)
            ]
            columns[name] = np.concatenate([*gains, [kernels.crossover_rows(name, 200.0, technology)]])
        if of == "sparse_kernels" and last == "dense_fraction":
            columns[name] = np.append(
                kernels.sparse_gain(np.array([0.0, 0.5, 0.9, 0.99]), name, technology),
                kernels.break_even_sparsity(name, technology),
            )
    groups = np.array([0.0, 1.0, 7.0])
    whole = fleet.fleet(
        groups, chips=2.0, group_price_usd=5e4, group_w=1500.0, group_tokens_per_s=900.0, usd_per_million_tokens=3.0,
        g_per_million_tokens=40.0, technology=technology,
    )  # fmt: skip
    return columns | {f"fleet {name}": column for name, column in vars(whole).items()}


def links() -> dict[str, Any]:
    """Return times of exchanges between chips of rings, tori and servers, of few bytes and many, for every stack."""
    random, library = np.random.default_rng(7), Technology().library
    stacks = Choice.of(*library.stacks)
    rows = len(stacks)

    def some(*values: float) -> FloatArray:
        return random.choice(values, rows)

    stack = software(stacks, Technology())
    machine = replace(
        envelope_machine(), link_bytes_per_s=some(1e9, 5e10, 4.5e11), link_added_s=some(0, 3e-6),
        link_hop_s=some(0, 1e-6), link_rivalry=some(0, 0.4), link_axes=some(1, 2, 3), devices=some(1, 1, 2),
        dies=some(1, 2, 4), die_link_bytes_per_s=some(1e11, 1e12), die_step_s=some(0, 1e-7),
    )  # fmt: skip
    spread_out = Nodes(some(1, 3, 4, 8, np.inf), some(2e9, 5e10), some(0, 1e-5), some(0, 2e-6), some(900), some(9))
    columns: dict[str, Any] = {}
    for name, one in (("near", machine), ("far", replace(machine, nodes=spread_out))):
        part = interconnect.device_of(one)
        for chips in (1.0, 2.0, 3.0, 8.0, 12.0, 64.0):
            for size in (0.0, 4e3, 5e6, 3e9):
                found = {
                    "sum": interconnect.all_reduce_s(size, chips, part, stack),
                    "gather": interconnect.all_gather_s(size, np.full(rows, chips), part, stack),
                    "exchange": interconnect.all_to_all_s(size, some(0, 1, 120), one, stack, chips=chips),
                    "stages": interconnect.send_s(size, one, stack, stages=chips, chips=some(1, 2, 8)),
                    "dies": interconnect.die_all_reduce_s(size, one),
                }
                columns |= {f"{name} {what} of {size:.0e} on {chips:.0f}": value for what, value in found.items()}
    return columns


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "queues": queues, "waits": waits, "edges": edges, "users_of_chips": users, "links": links, "silicon": silicon
}  # fmt: skip

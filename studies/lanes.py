"""Skipping zeros against dequantizing them: what lanes, blocks, queues and correlation do to the time per token.

Every design of sweeps/lanes.yaml stores half-pruned 4-bit weights of one perplexity; only the way that the array works
through them differs. `compression.py` puts the section into its page.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import load_spec

SWEEP = Path(__file__).parent.parent / "sweeps" / "lanes.yaml"
FACTORS = {
    "lanes": "lanes in lockstep",
    "lane_block": "weights between two synchronisations",
    "lane_depth": "blocks that a lane may run ahead",
    "mask_correlation": "correlation of nonzeros",
}
MACS = 32768
TYPICAL = {"lanes": 1024, "lane_block": 128, "lane_depth": 1}
TIME = "many.tpot_ms"


def evaluated() -> pd.DataFrame:
    """Return every design of the sweep with its metrics, and in `built` whether it can be built.

    Queues of wide lanes with long blocks are larger than any die; their times show what lanes would do all the same.
    """
    spec = load_spec(SWEEP)
    space, evaluator = Space(spec), Evaluator(spec)
    designs = space.grid(0, space.grid_size)
    result = evaluator.evaluate(designs)
    return designs.to_frame().assign(**result.metrics, built=result.feasible)


def skipping(table: pd.DataFrame, **chosen: float) -> pd.DataFrame:
    """Return the designs that skip unstructured zeros, with these settings."""
    kept = (table["weight_format"] == "bitmap") & (table["weight_execution"] == "skip")
    for name, value in chosen.items():
        kept &= table[name] == value
    return table[kept]


def other(table: pd.DataFrame, form: str, execution: str, macs: int) -> pd.Series:
    """Return the one design of a format and execution that has no lanes to set."""
    kept = (table["weight_format"] == form) & (table["weight_execution"] == execution) & (table["macs"] == macs)
    return table[kept].iloc[0]


def shares(table: pd.DataFrame) -> dict[str, float]:
    """Return the first-order share of each factor in the variance of the time over the crossed grid."""
    part = skipping(table, macs=MACS)
    whole = float(part[TIME].var(ddof=0))
    return {name: float(part.groupby(name)[TIME].mean().var(ddof=0)) / whole for name in FACTORS}


def by_macs(table: pd.DataFrame) -> list[list[str]]:
    """Return rows of batch, units, price, and times of every way to work through the same weights."""
    rows = []
    for workload, batch in (("few", 4), ("many", 32)):
        name = f"{workload}.tpot_ms"
        for macs in sorted(table["macs"].unique()):
            own = skipping(table, macs=macs, lane_block=128, lane_depth=1)
            settings = ((1, 0.0), (64, 0.0), (1024, 0.05), (1024, 0.235))
            skips = [own[(own["lanes"] == n) & (own["mask_correlation"] == rho)].iloc[0] for n, rho in settings]
            ways = (("bitmap", "dense"), ("nm", "skip"), ("group_int", "direct"))
            dense, pattern, plain = (other(table, form, way, macs) for form, way in ways)
            times = (f"{row[name]:.1f}" for row in (dense, *skips, pattern, plain))
            more = skips[0]["price_usd"] - dense["price_usd"]
            rows.append([str(batch), f"{macs:,.0f}", *times, f"{dense['price_usd']:,.0f}", f"{more:+,.0f}"])
    return rows


HEADINGS = [
    "batch", "MACs", "dequantized, ms", "skip, 1 lane", "skip, 64 lanes, rho 0", "skip, 1024, rho 0.05",
    "skip, 1024, rho 0.235", "2:4 (other perplexity)", "4 bits unpruned", "price dequantized, USD", "skipping, USD",
]  # fmt: skip


def section(picture: Path) -> str:
    """Return what lanes do to the time per token, and draw it."""
    table = evaluated()
    draw(table, picture)
    moved = sorted(shares(table).items(), key=lambda item: -item[1])
    explained = ", ".join(f"{FACTORS[name]} {share:.0%}" for name, share in moved)
    dense, doubled = (other(table, "bitmap", "dense", macs) for macs in (MACS, 2 * MACS))
    skips = skipping(table, macs=MACS)
    unequal = skips[(skips["mask_correlation"] == 0.235) & (skips["lanes"] == 1024) & (skips["lane_block"] == 128)]
    queued = dict(zip(unequal["lane_depth"], unequal[TIME], strict=True))
    pattern = other(table, "nm", "skip", MACS)
    lines = ["| " + " | ".join(line) + " |" for line in (HEADINGS, ["---"] * len(HEADINGS), *by_macs(table))]
    ratio, price = "many.perplexity_ratio", "price_usd"
    return f"""### In ms per token, at one perplexity

{len(table):,} designs of [a second sweep](lanes.yaml): Llama-2-70B on 12 packages of LPDDR5X-9600, 4-bit weights half
pruned (perplexity ratio {dense[ratio]:.3f}, extrapolated, the same in every pruned column but 2:4), the same chip but
for its MACs and for the way in which it works through the weights. Blocks of 128 and no queue in the table.
{int((~table["built"]).sum())} of them cannot be built: queues of wide lanes with long blocks outgrow the reticle.

{chr(10).join(lines)}

![time per token against lanes](lanes_time.png)

* At batch 4 memory sets the time from 32,768 MACs on: lanes, blocks, queues and correlation change nothing, and neither
  does skipping. Stored bits are the whole gain.
* At batch 32 and {MACS:,} MACs arithmetic sets it. Expansion takes {dense[TIME]:.1f} ms; skipping takes from
  {skips[TIME].min():.1f} to {skips[TIME].max():.1f}, all or nothing of what zeros promise. Each factor alone
  explains of the variance of that time over the whole grid: {explained}.
* With 1024 lanes, blocks of 128 and the correlation of 0.235 that the original article's blocks have, skipping takes
  {queued[1]:.1f} ms, {queued[4]:.1f} with a queue of 4 blocks and {queued[16]:.1f} with one of 16.
* Twice the MACs and expansion take {doubled[TIME]:.1f} ms for {doubled[price] - dense[price]:.0f} USD more; the
  hardware that skips costs {skips[price].iloc[0] - dense[price]:.0f}. Multipliers are the cheap part of such a chip:
  what skipping gives at best, more of them give for certain, and without lanes to keep equal.
* Patterns of 2:4 take the time of one lane whatever the width, and pay in perplexity ({pattern[ratio]:.3f}).
"""


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the time per token at batch 32 along lanes, block and queue per correlation, and along units."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), sharey=True)
    dense = other(table, "bitmap", "dense", MACS)[TIME]
    ideal = skipping(table, macs=MACS, lanes=1)[TIME].min()
    for axis, factor in zip(axes.flat, ("lanes", "lane_block", "lane_depth"), strict=False):
        fixed = {name: value for name, value in TYPICAL.items() if name != factor}
        for colour, (rho, part) in enumerate(skipping(table, macs=MACS, **fixed).groupby("mask_correlation")):
            part = part.sort_values(factor, kind="stable")
            axis.semilogx(part[factor], part[TIME], marker="o", ms=4, color=f"C{colour}", label=f"skip, rho {rho:g}")
        axis.axhline(dense, color="black", lw=1, label="dequantized, zeros multiplied")
        axis.axhline(ideal, color="grey", lw=1, ls="--", label="skip, one lane")
        axis.set(xlabel=FACTORS[factor], title=", ".join(f"{n.removeprefix('lane_')} {v}" for n, v in fixed.items()))
        axis.set_xticks(ticks := sorted(table[factor].dropna().unique()), [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    axis = axes[1, 1]
    macs = sorted(table["macs"].unique())
    for colour, rho in ((0, 0.0), (2, 0.05), (4, 0.235)):
        part = skipping(table, **TYPICAL, mask_correlation=rho).sort_values("macs", kind="stable")
        axis.semilogx(part["macs"], part[TIME], marker="o", ms=4, color=f"C{colour}", label=f"skip, rho {rho:g}")
    axis.semilogx(macs, [other(table, "bitmap", "dense", one)[TIME] for one in macs], color="black", lw=1)
    one_lane = [skipping(table, macs=one, lanes=1)[TIME].min() for one in macs]
    axis.semilogx(macs, one_lane, color="grey", lw=1, ls="--")
    axis.set(xlabel="MAC units of the chip", title="1024 lanes, block 128, depth 1")
    axis.set_xticks(macs, [f"{one:,.0f}" for one in macs])
    axis.minorticks_off()
    for row in axes:
        row[0].set_ylabel("ms per token, batch 32")
        for axis in row:
            axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8, loc="upper right")
    figure.suptitle(f"Llama-2-70B, 4-bit weights half pruned, one perplexity; {MACS:,} MACs but in the last panel")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)

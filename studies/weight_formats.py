"""Which format of weights for Llama-class models on an LPDDR chip? Writes results/compression from the models.

    python -m studies.weight_formats

Every design of sweeps/compression.yaml is evaluated; at a bound on perplexity the best design of each family of
formats is compared. Figures of lanes and of the XOR code come from the same functions.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.weights.compression import entropy_bound, stored_bits
from cost_models.weights.execution import Lanes, work_of
from cost_models.weights.weight_storage import varied
from dse.evaluator import Evaluator
from dse.space import Space
from dse.sweep import load_spec

mpl.use("Agg")
import matplotlib.pyplot as plt

from studies import lanes

ROOT = Path(__file__).parents[1]
SWEEP = ROOT / "sweeps" / "compression.yaml"
OUT = ROOT / "results" / "compression"
MODELS = {"llama1": "Llama-1-65B", "llama2": "Llama-2-70B", "llama3": "Llama-3-70B"}
FAMILIES = {
    "group_int": "plain integers",
    "group_int_asymmetric": "plain integers",
    "vector_2bit": "vector codes",
    "bitmap": "pruned, bitmap",
    "run_length": "pruned, run lengths",
    "nm": "pruned, N:M",
    "xor": "pruned, XOR code",
}
BOUNDS = (1.05, 1.1, 1.2, 1.3, 1.5, 2.0)
TARGET_MS = 40.0
COLOURS = dict(zip(dict.fromkeys(FAMILIES.values()), plt.get_cmap("tab10").colors, strict=False))


def evaluated() -> pd.DataFrame:
    """Return every feasible design of the sweep with its metrics, limits of silicon and capacity kept."""
    spec = load_spec(SWEEP)
    space, evaluator = Space(spec), Evaluator(spec)
    designs = space.grid(0, space.grid_size)
    result = evaluator.evaluate(designs)
    table = pd.concat([designs.to_frame(), pd.DataFrame(result.metrics)], axis="columns")
    kept = np.all([margin >= 0 for name, margin in result.margins.items() if "perplexity" not in name], axis=0)
    table["family"] = table["weight_format"].map(FAMILIES)
    return table[kept].reset_index(drop=True)


def described(row: pd.Series) -> str:
    """Return the settings of a format in words."""
    if row["weight_format"] == "vector_2bit":
        return "2.07-bit codebooks, dequantized to 16 bits"
    words = [f"{row['weight_bits']:.0f} bit, g{row['weight_group']:.0f}, {row['weight_method']}"]
    if row["weight_format"] == "nm":
        words.append(f"{row['nm_n']:.0f}:{row['nm_m']:.0f}")
    elif not np.isnan(row["sparsity"]):
        words.append(f"{row['sparsity']:.0%} pruned")
    if not np.isnan(row["shift_registers"]):
        words.append(f"{row['shift_registers']:.0f} registers")
    return ", ".join([*words, str(row["weight_execution"])])


def best(table: pd.DataFrame, workload: str, bound: float, metric: str) -> pd.DataFrame:
    """Return the design of each family with the least `metric` under a bound on perplexity, best family first."""
    allowed = table[(table[f"{workload}.perplexity_ratio"] <= bound) & (table[f"{workload}.perplexity_unusable"] == 0)]
    if metric == "price_usd":
        allowed = allowed[allowed[f"{workload}.tpot_ms"] <= TARGET_MS]
    return allowed.loc[allowed.groupby("family")[metric].idxmin()].sort_values(metric, kind="stable")


def markdown(headings: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def winners(table: pd.DataFrame, metric: str, unit: str) -> str:
    """Return, per model and bound, every family's best value, the least in bold."""
    families = list(dict.fromkeys(FAMILIES.values()))
    rows = []
    for workload, model in MODELS.items():
        name = metric if metric == "price_usd" else f"{workload}.{metric}"
        for bound in BOUNDS:
            values = best(table, workload, bound, name).set_index("family")[name]
            shown = {one: f"{value:.4g}" for one, value in values.items()}
            shown |= {one: f"**{shown[one]}**" for one in values.index[values == values.min()]}
            cells = [shown.get(one, "-") for one in families]
            rows.append([model, f"{bound:g}", *cells])
    return markdown(["model", "perplexity at most", *(f"{one}, {unit}" for one in families)], rows)


def details(table: pd.DataFrame, workload: str, bound: float) -> str:
    """Return what the fastest design of each family is."""
    rows = [
        [
            row["family"],
            described(row),
            f"{row['stored_bits']:.3f}",
            f"{row[f'{workload}.perplexity_ratio']:.3f}"
            + (" (extrapolated)" if row[f"{workload}.perplexity_extrapolated"] else ""),
            f"{row[f'{workload}.tpot_ms']:.1f}",
            f"{row[f'{workload}.decode_j_per_token']:.3f}",
            f"{row['price_usd']:,.0f}",
        ]
        for _, row in best(table, workload, bound, f"{workload}.tpot_ms").iterrows()
    ]
    return markdown(["family", "format", "stored bit", "perplexity ratio", "ms/token", "J/token", "price, USD"], rows)


def pruning_pays(table: pd.DataFrame) -> str:
    """Return how far the best pruned format is behind plain integers, per model and bound."""
    rows = []
    for workload, model in MODELS.items():
        name = f"{workload}.tpot_ms"
        cells = []
        for bound in BOUNDS:
            values = best(table, workload, bound, name).set_index("family")[name]
            pruned = values[[one for one in values.index if one.startswith("pruned")]]
            gain = pruned.min() / values["plain integers"] - 1 if len(pruned) else np.nan
            cells.append("-" if pruned.empty else f"{gain:+.0%} ({pruned.idxmin().removeprefix('pruned, ')})")
        rows.append([model, *cells])
    return markdown(["model", *(f"at {bound:g}" for bound in BOUNDS)], rows)


def draw_fronts(table: pd.DataFrame) -> None:
    """Draw time per token against perplexity, the best of each family, for every model."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), sharey=True)
    for axis, (workload, model) in zip(axes, MODELS.items(), strict=True):
        for family, colour in COLOURS.items():
            own = table[table["family"] == family].sort_values(f"{workload}.perplexity_ratio", kind="stable")
            own = own[own[f"{workload}.perplexity_ratio"] <= 3]
            least = own[f"{workload}.tpot_ms"].cummin()
            axis.step(own[f"{workload}.perplexity_ratio"], least, where="post", color=colour, label=family)
        axis.set(title=model, xlabel="perplexity over that of 16 bits", xlim=(1, 3), ylim=(15, 60))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ms per token, batch 4")
    axes[-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(OUT / "fronts.png", dpi=130)
    plt.close(figure)


def lanes_table() -> str:
    """Return passes per weight that skipping takes, by lanes and correlation, and draw them."""
    form, technology = shipped_library().weight_format("bitmap"), Technology()
    lanes = np.array([1, 4, 16, 64, 256, 1024, 4096, 16384], dtype=float)
    figure, axis = plt.subplots(figsize=(8, 4.2))
    rows = []
    for sparsity in (0.5, 0.7, 0.9):
        for rho in (0.0, 0.05, 0.235):
            for depth in (1, 16):
                pruned = varied(form, {"sparsity": sparsity, "correlation": rho})
                passes = np.asarray(work_of(pruned, "skip", Lanes(lanes, 100.0, depth), technology).time)
                rows.append([f"{sparsity:g}", f"{rho:g}", str(depth), *(f"{1 / x:.2f}" for x in passes[[1, 3, 5, 7]])])
                if sparsity == 0.5:
                    axis.semilogx(
                        lanes, 1 / passes, ls="-" if depth == 1 else ":", label=f"rho {rho:g}, queue of {depth}"
                    )
    axis.axhline(2, color="grey", lw=0.8)
    axis.set(xlabel="lanes in lockstep", ylabel="multiplication rate over dense, half pruned")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(OUT / "lanes.png", dpi=130)
    plt.close(figure)
    return markdown(["sparsity", "rho", "queue, blocks", *(f"{n} lanes" for n in (4, 64, 1024, 16384))], rows)


def codes_table() -> str:
    """Return stored bits of 4-bit nonzeros by sparsity, bitmap and XOR code beside entropy, and draw them."""
    sparsity = np.arange(0.3, 0.951, 0.05).round(2)
    library = shipped_library()
    forms = {name: library.weight_format(name) for name in ("bitmap", "run_length", "xor")}
    bare = {name: form.model_copy(update={"group": 0}) for name, form in forms.items()}
    curves = {"entropy": entropy_bound(varied(bare["bitmap"], {"sparsity": sparsity}))}
    for name in ("bitmap", "run_length"):
        curves[name.replace("_", " ")] = stored_bits(varied(bare[name], {"sparsity": sparsity}))
    for registers, rho in ((0, 0.0), (1, 0.0), (2, 0.0), (2, 0.24)):
        code = {"sparsity": sparsity, "shift_registers": float(registers), "correlation": rho}
        name = f"XOR, {registers} registers" + (f", rho {rho:g}" if rho else "")
        curves[name] = stored_bits(varied(bare["xor"], code))
    figure, axis = plt.subplots(figsize=(6.5, 4.2))
    for name, bits in curves.items():
        axis.plot(sparsity, bits, label=name, color="black" if name == "entropy" else None)
    axis.set(xlabel="sparsity", ylabel="stored bits per weight, 4-bit nonzeros")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(OUT / "codes.png", dpi=130)
    plt.close(figure)
    chosen = [np.flatnonzero(sparsity == s)[0] for s in (0.3, 0.5, 0.7, 0.8, 0.9)]
    rows = [[name, *(f"{bits[i]:.3f}" for i in chosen)] for name, bits in curves.items()]
    return markdown(["format", *(f"S = {sparsity[i]:g}" for i in chosen)], rows)


def page(table: pd.DataFrame) -> str:
    """Return the study, every number of it from the tables."""
    name = "llama2.tpot_ms"
    wins = {
        workload: [best(table, workload, bound, f"{workload}.tpot_ms").iloc[0]["family"] for bound in BOUNDS]
        for workload in MODELS
    }
    words = "; ".join(
        f"{model}: " + ", ".join(f"{family} at {bound:g}" for bound, family in zip(BOUNDS, wins[workload], strict=True))
        for workload, model in MODELS.items()
    )
    bitmap, xor = (table[table["family"] == family][name].min() for family in ("pruned, bitmap", "pruned, XOR code"))
    return f"""# Which format of weights, at equal perplexity?

One LPDDR5X-9600 chip in 5 nm (8 to 16 packages of 64 bits), batch 4, 1024 tokens in, 256 out, KV cache in 8 bits.
{len(table):,} designs of [the sweep](sweep.yaml) that can be built and hold all three models; written by
`studies/weight_formats.py` from the equations and the fitted quality model (`docs/quality.md`). Pruning is one-shot
(SparseGPT class); pruned *and* quantised perplexities extrapolate, for the measurement behind them is one model.

## Fastest format

Least time per token of each family under a bound on perplexity (over that of 16 bits). Fastest family: {words}.

{winners(table, "tpot_ms", "ms")}
![time against perplexity](fronts.png)

The fastest of each family for {MODELS["llama2"]} under a bound of 1.2, and under 1.5:

{details(table, "llama2", 1.2)}
{details(table, "llama2", 1.5)}
Vector codes store least and are not the fastest: dequantized to 16 bits they take four passes of the array, and
arithmetic rather than memory sets their time.

## Least energy

Joules of the board per output token in decode.

{winners(table, "decode_j_per_token", "J")}
## Lowest price at {TARGET_MS:g} ms per token

Price of the cheapest chip in the sweep that reaches {TARGET_MS:g} ms per token; a dash: none does.

{winners(table, "price_usd", "USD")}
## Where pruning pays

Time per token of the best pruned format over plain integers at the same bound; below 0 pruning pays.

{pruning_pays(table)}
Integers come in whole bits: where pruning pays, the bound lies in the gap between what 3-bit and 2-bit weights reach,
which sparsity fills. Everywhere else plain low-bit weights dominate. Every pruned number rests on an extrapolated
perplexity; a few per cent either way are not a result.

## What lanes and correlation do

Multiplication rate of a chip that skips zeros over one that multiplies them; blocks of 100 weights. One lane would
give 1 / (1 - S): 2, 3.33 and 10.

{lanes_table()}
![lanes](lanes.png)

{lanes.section(OUT / "lanes_time.png")}
## What the XOR code adds over a bitmap

Stored bits per weight with 4-bit nonzeros, scales apart; XOR code of N_in 8 at the encoding efficiency that was
measured with the real encoder, its mask as a bitmap.

{codes_table()}
![codes](codes.png)

At every sparsity the code stores more than a bitmap with its nonzeros packed: both store the same mask, and the code
adds corrections and unused outputs. What it gives is blocks of one size, which a decoder takes at a fixed rate. In the
whole sweep the fastest bitmap design takes {bitmap:.1f} ms per token of {MODELS["llama2"]}, the fastest XOR design
{xor:.1f} ms.

## What is not in these numbers

* Retraining with the mask, which recovers much of what one-shot pruning loses, has no fit here.
* The lengths of packed nonzeros differ from block to block; the buffers that even them out are not in the chip's area.
* Area and energy of operand selection are assumptions (`execution.*` in the library).
"""


def main() -> None:
    """Evaluate the sweep and write page, plots, front and sweep."""
    OUT.mkdir(parents=True, exist_ok=True)
    table = evaluated()
    shutil.copy(SWEEP, OUT / "sweep.yaml")
    shutil.copy(lanes.SWEEP, OUT / "lanes.yaml")
    fronts = [
        best(table, workload, bound, f"{workload}.tpot_ms").assign(model=model, perplexity_at_most=bound)
        for workload, model in MODELS.items()
        for bound in BOUNDS
    ]
    front = pd.concat(fronts).dropna(axis="columns", how="all")
    first = ["model", "perplexity_at_most", "family"]
    front[[*first, *(name for name in front.columns if name not in first)]].to_csv(
        OUT / "front.csv", index=False, float_format="%.6g"
    )
    draw_fronts(table)
    (OUT / "page.md").write_text(page(table), encoding="utf-8")


if __name__ == "__main__":
    main()

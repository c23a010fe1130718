"""Rows of ``quality.csv`` as the quality fits take them: one class per method, one number per property."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cost_models.library import shipped_library

LEARNED = ("OmniQuant", "ShiftAddLLM(Acc)", "NFL", "OWQ", "QuaRot", "SpinQuant")
QUANTISATION_CLASSES = ("rtn", "gptq", "awq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix")
PRUNING_CLASSES = ("sparsegpt", "wanda", "alps")
PRUNING_METHODS = {
    "SparseGPT": "sparsegpt", "SparseGPT+DSnoT": "sparsegpt", "Wanda": "wanda", "Wanda+DSnoT": "wanda",
    "RIA": "wanda", "ALPS": "alps", "OWL+SparseGPT": "alps", "OWL+Wanda": "alps",
}  # fmt: skip
GROUPS = {"channel": 0.0, "64": 64.0, "128": 128.0, "group": 128.0, "vector": 128.0, "k-quant": 128.0}
BLOCKS = {"unstructured": np.inf, "2:4": 4.0, "4:8": 8.0}

MIN_RISE = 0.005
"""Rises of ln perplexity below this are the rounding of the printed numbers."""
MAX_BITS = 5.0
"""Beyond it the rises are rounding."""
PRUNING_RISE = 2.0
"""The pruning fit takes rows up to this rise: beyond, the model is gone and its exact perplexity says little."""
NEAR_CEILING = 0.999
"""Rises are capped at this share of the ceiling; a few collapsed models do worse than guessing."""


def read_rows() -> pd.DataFrame:
    """Return every WikiText-2 row of a modelled method and a model whose training is known.

    Columns beside those of the table: y (rise of ln perplexity), method_class, tokens (trillions), model_family,
    lineage (models of the same shape and training), bits (stored bits where codebooks have no group), group (0 = per
    channel) and block (M of N:M, inf = none).
    """
    library = shipped_library()
    rows = pd.read_csv(library.data_file("quality.csv"))
    models = pd.read_csv(library.data_file("quality_models.csv")).set_index("model")
    worst = NEAR_CEILING * library.parameter("quality.ceiling").typ
    rows["y"] = np.log(rows["ppl"] / rows["ppl_dense"]).clip(upper=worst)
    rows["tokens"] = rows["model"].map(models["training_tokens_trillions"])
    rows["model_family"] = rows["model"].map(models["family"])
    rows["lineage"] = rows["model"].map(models["lineage"])
    quantised = (rows["family"] == "quant").to_numpy()
    classes = np.where(quantised, rows["method"].map(_quantisation_class), rows["method"].map(PRUNING_METHODS))
    rows["method_class"] = classes
    coded = rows["group_size"].isin(["vector", "k-quant"])
    rows["bits"] = np.where(coded, rows["eff_bits_stored"], rows["weight_bits"])
    rows["group"] = rows["group_size"].map(GROUPS)
    rows["block"] = rows["pattern"].map(BLOCKS)
    known = rows["method_class"].notna() & rows["tokens"].notna() & (rows["dataset"] == "WikiText-2")
    return rows[known & (rows["family"] != "joint")].reset_index(drop=True)


def quantised(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the quantisation rows that say something: collapsed models too, rounding left out."""
    taken = (rows["family"] == "quant") & (rows["weight_bits"] <= MAX_BITS) & (rows["y"] > MIN_RISE)
    return rows[taken].reset_index(drop=True)


def pruned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the pruning rows, unstructured and N:M, collapsed models too."""
    return rows[(rows["family"] == "prune") & (rows["y"] > 0)].reset_index(drop=True)


def read_joint() -> pd.DataFrame:
    """Return the models pruned and quantised, with what pruning alone and quantising alone cost them.

    Only OPT-175B: columns y (both), pruned and quantised (each alone, per output channel, same pattern and bits).
    """
    rows = pd.read_csv(shipped_library().data_file("quality.csv"))
    rows["y"] = np.log(rows["ppl"] / rows["ppl_dense"])
    rows = rows[(rows["model"] == "OPT-175B") & (rows["dataset"] == "WikiText-2")]
    joint = rows[rows["family"] == "joint"]
    alone = rows[(rows["family"] == "prune") & (rows["method"] == "SparseGPT")].set_index("pattern")["y"]
    dense = rows[(rows["family"] == "quant") & (rows["group_size"] == "channel")].set_index("weight_bits")["y"]
    joint = joint.assign(pruned=joint["pattern"].map(alone), quantised=joint["weight_bits"].map(dense))
    return joint.dropna(subset=["pruned", "quantised"]).reset_index(drop=True)


def _quantisation_class(method: str) -> str | None:
    named = {"RTN": "rtn", "GPTQ": "gptq", "OPTQ": "gptq", "GPTQ-R": "gptq", "AWQ": "awq", "EfficientQAT": "qat"}
    if method in named:
        return named[method]
    if method in LEARNED:
        return "omniquant"
    if method.startswith(("AQLM", "VPTQ")):
        return "vector"
    if method.startswith("GGUF"):
        return "kquant_imatrix" if "imatrix" in method or "GGUF-IQ" in method else "kquant"
    return None

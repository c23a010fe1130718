"""Shapes that are measured: layers of library models, and small ones to check the script with."""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.errors import UnknownEntryError
from cost_models.library import shipped_library

MODELS = ("llama2_7b", "llama2_70b", "llama1_65b", "synthetic_250b_gqa")
"""Two small and large models of the founding argument, and the 250-billion-class layer."""

POWERS = tuple(2**i for i in range(13))


@dataclass(frozen=True)
class Layers:
    """Dimensions of a dense transformer with gated feed-forward layers."""

    key: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    d_ff: int
    vocab: int

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Return (n, k) of the matrices of a layer, and of the head: each as PyTorch programs fuse them."""
        return {
            "qkv": ((self.heads + 2 * self.kv_heads) * self.head_dim, self.d_model),
            "attention_out": (self.d_model, self.heads * self.head_dim),
            "ffn_up": (2 * self.d_ff, self.d_model),
            "ffn_down": (self.d_model, self.d_ff),
            "lm_head": (self.vocab, self.d_model),
        }

    def layer_bytes(self) -> float:
        """Return the bytes of one layer's matrices in 16 bits."""
        return 2.0 * sum(n * k for name, (n, k) in self.matrices().items() if name != "lm_head")

    def head_bytes(self) -> float:
        """Return the bytes of embedding and head in 16 bits."""
        return 4.0 * self.vocab * self.d_model

    def cache_bytes(self, batch: int, context: int) -> float:
        """Return the bytes of one layer's KV cache in 16 bits."""
        return 4.0 * batch * context * self.kv_heads * self.head_dim


@dataclass(frozen=True)
class Sizes:
    """Everything that is swept.

    Attributes:
        models: whose layers are measured.
        rows: activation rows M of GEMMs.
        stream_bytes: sizes of copies and reads.
        batches: sequences in decode.
        contexts: tokens that decode attends to.
        prompts: (batch, prompt) of prefills.
        eager: (batch, context) of decode steps that are timed without graphs as well.
        compressed: contexts of decode steps with weight-only kernels in the layers.
        sparsities: shares of zeros of unstructured sparse weights.
        sparse_rows: activation rows of sparse GEMMs.
        sparse_matrices: matrices of a layer that are measured sparse.
        group: weights that share a scale in 4-bit formats.
        steady: (batch, context) of decode steps whose power is read.
        steady_rows: activation rows of GEMMs whose power is read.
        depth: most layers of a stack; as many as fit where None.
    """

    models: tuple[Layers, ...]
    rows: tuple[int, ...] = POWERS
    stream_bytes: tuple[int, ...] = tuple(2**i for i in range(20, 33))
    batches: tuple[int, ...] = (1, 4, 16, 64, 256)
    contexts: tuple[int, ...] = (128, 512, 2048, 8192, 32768)
    prompts: tuple[tuple[int, int], ...] = ((1, 128), (1, 1024), (1, 4096), (1, 32768), (8, 1024), (32, 512))
    eager: tuple[tuple[int, int], ...] = ((1, 512), (16, 512))
    compressed: tuple[int, ...] = (512,)
    sparsities: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    sparse_rows: tuple[int, ...] = (1, 8, 16, 32, 64, 256, 1024)
    sparse_matrices: tuple[str, ...] = ("attention_out", "ffn_down")
    group: int = 128
    steady: tuple[tuple[int, int], ...] = ((1, 512), (16, 512), (64, 512), (16, 8192))
    steady_rows: tuple[int, ...] = (1, 64, 4096)
    depth: int | None = None


TINY = Sizes(
    models=(Layers("tiny_llama", 4, 128, 4, 2, 32, 256, 512),),
    rows=(1, 4, 32),
    stream_bytes=(2**16, 2**20),
    batches=(1, 4),
    contexts=(16, 64),
    prompts=((1, 16), (2, 8)),
    eager=((1, 16),),
    compressed=(16,),
    sparsities=(0.5, 0.99),
    sparse_rows=(1, 16),
    group=32,
    steady=((1, 16),),
    steady_rows=(1,),
    depth=2,
)
"""Shapes that a CPU runs in seconds; `tiny_llama` is no model of the library."""


def layers_of(name: str) -> Layers:
    """Return the dimensions of a library model.

    Raises:
        UnknownEntryError: the library has no such model.
        ValueError: its layers are of another kind than the measured ones.
    """
    model = shipped_library().model(name)
    if model.moe is not None or model.mla is not None or not model.gated_ffn:
        raise ValueError(f"{name}: only dense models with gated feed-forward layers can be measured")
    return Layers(
        name, model.layers, model.d_model, model.heads, model.kv_heads, model.head_dim, model.d_ff, model.vocab
    )


def sizes_for(models: tuple[str, ...], *, tiny: bool) -> Sizes:
    """Return what is swept.

    Raises:
        ValueError: a model is unknown or cannot be measured; every such model is named.
    """
    if tiny and models:
        raise ValueError("--models does not go with --tiny, whose shapes are those of no model")
    if tiny:
        return TINY
    result, issues = [], []
    for name in models or MODELS:
        try:
            result.append(layers_of(name))
        except (UnknownEntryError, ValueError) as error:
            issues.append(str(error))
    if issues:
        raise ValueError("; ".join(issues))
    return Sizes(tuple(result))

"""Speculative decoding: what a draft proposes, one pass over the model verifies.

A step drafts k tokens one after the other, and the model scores them and the one after them in a single pass of k + 1
rows per sequence. The tokens up to the first that is refused are kept, and one more that the model itself gives: with
each drafted token accepted with a chance a, whatever came before it,

    E[tokens] = 1 + a + ... + a^k = (1 - a^(k+1)) / (1 - a)

(Leviathan, Kalman, Matias 2023, arXiv 2211.17192, equation 1).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from cost_models.library import Model
from cost_models.library.layers import AttentionLayers, DenseLayers
from cost_models.table import FloatArray, Number
from cost_models.tape import asarray
from cost_models.workload.param_count import Attention, attentions, dense_blocks, ffn_matrices

MTP = "mtp"
"""A draft that is a further layer of the model itself, which predicts the token after the next."""

NGRAM = "ngram"
"""A draft that is copied from what was said before, and costs a chip nothing."""


@dataclass(frozen=True)
class Speculation:
    """How a workload drafts; numbers are scalars or ``(n,)`` columns.

    Attributes:
        draft_tokens: tokens k that are drafted per step; none where 0.
        acceptance: chance a that a drafted token is accepted.
        draft: what drafts them; None where that costs nothing.
        shares_vocabulary: whether embedding and head of the draft are those of the model.
    """

    draft_tokens: Number
    acceptance: Number
    draft: Model | None = None
    shares_vocabulary: bool = False

    @property
    def rows(self) -> FloatArray:
        """Rows of a sequence that one pass verifies."""
        return asarray(self.draft_tokens, dtype=np.float64) + 1

    @property
    def drafts(self) -> FloatArray:
        """1 where something is drafted, 0 where the model decodes alone."""
        return asarray(asarray(self.draft_tokens) > 0, dtype=np.float64)

    @property
    def numbers(self) -> tuple[Number, Number]:
        """Tokens drafted per step, and their acceptance."""
        return self.draft_tokens, self.acceptance

    @property
    def tokens_per_step(self) -> FloatArray:
        """Mean tokens that a sequence gains in a step."""
        return self._moments[0]

    @property
    def step_variance(self) -> FloatArray:
        """Variance of the tokens that a sequence gains in a step."""
        first, second = self._moments
        return asarray(np.maximum(second - first**2, 0.0))

    @property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean and mean square of the tokens of a step: more than j of them come with a chance a^j."""
        most = int(np.max(self.draft_tokens, initial=0))
        chance, rows = asarray(self.acceptance, dtype=np.float64), self.rows
        first = second = np.zeros(np.broadcast_shapes(chance.shape, rows.shape))
        for place in range(most + 1):
            reached = np.where(place < rows, chance**place, 0.0)
            first, second = first + reached, second + (2 * place + 1) * reached
        return first, second


def mtp_module(model: Model) -> Model:
    """Return the module of a model that predicts one token further: a layer, and what joins its two inputs.

    The hidden state of a token and the embedding of the next one go through a matrix of 2 d by d into one layer as the
    model's own, then through the model's head (DeepSeek-V3, arXiv 2412.19437, section 2.2). That matrix is counted as
    a dense block of as many weights.

    Raises:
        ValueError: the model has no layer of attention.
    """
    layers = attentions(model)
    if not layers:
        raise ValueError(f"{model.key} has no layer of attention that could draft")
    one: Attention = layers[0]
    joining = DenseLayers(layers=1, d_ff=-(-2 * model.d_model // ffn_matrices(model)))
    # A mixture's module has experts, and no dense block beside them.
    own = () if model.moe is not None else tuple(DenseLayers(layers=1, d_ff=b.d_ff) for b in dense_blocks(model)[:1])
    moe = None if model.moe is None else model.moe.model_copy(update={"layers": 1, "first_dense_layers": 0})
    return model.model_copy(
        update={
            "key": f"{model.key}_{MTP}",
            "layers": 1,
            "sliding_window": None,
            "window_layers": 0,
            "attention_layers": (AttentionLayers(**asdict(replace(one, layers=1))),),
            "state_layers": (),
            "dense_layers": (*own, joining),
            "moe": moe,
        }
    )

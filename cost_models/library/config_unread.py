"""Fields of a Hugging Face ``config.json`` that no rule reads although they may tell an architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cost_models.errors import LibraryError
from cost_models.library.config_fields import Config

READ_ELSEWHERE = frozenset(
    {"model_type", "architectures", "quantization_config", "attn_config", "ffn_config", "torch_dtype", "dtype",
     "num_nextn_predict_layers", "mtp_num_hidden_layers", "qk_head_dim", "word_embed_proj_dim",
     "hybrid_layer_pattern", "index_block_size", "index_topk_blocks", "linear_attn_config", "sparse_attention_config",
     "block_configs", "moe_layers_enum", "attention_other_setting", "sparsity_config"}
)  # fmt: skip
"""Fields that are read beside `Config`, or follow from those that it has."""

HARMLESS = re.compile(
    r"token|_ids?$|rope|rotary|position|_max_length$|^max_|drop|init|eps|norm_topk|group$|groups$|router|aux|loss|scal"
    r"|multiplier|softcap|logit|chunk_size|label|beam|pretraining_tp|vision|image|audio|video|mtp|version|act|lora_|_fn$"
    r"|time_step|clip|alibi|num_ln|threshold|temperature|top_[kp]$|penalty|min_length|length_penalty|num_return|vocab_size_per|dim_model_base"
    r"|group_norm_size|auto_map|generation|compression_config|per_layer_config|a_log|_dt_|dual_chunk|cla_share|n_ctx|summary|task|^id2|2id$|prefix|_backend$|no_rope|swiglu"
)
"""Names of fields that leave weights and caches as they are: tokens, positions, training, sampling, other towers."""


def unread_fields(fields: Mapping[str, Any], *, layers: int, source: str) -> list[str]:
    """Return fields that hold whole numbers, lists or groups of fields, which nothing reads.

    Args:
        fields: what the file says of the text model.
        layers: number of its layers.
        source: where they were read.

    Raises:
        LibraryError: a list that is not read tells something that differs from layer to layer.
    """
    known = Config.spellings().keys() | READ_ELSEWHERE
    found = []
    for name, value in fields.items():
        if name in known or name.startswith("_") or HARMLESS.search(name):
            continue
        if isinstance(value, list):
            if len(value) == layers and layers > 1 and any(one != value[0] for one in value):
                raise LibraryError(f"{source}: {name} differs from layer to layer, which is not read")
            if value and all(isinstance(one, int | str) and not isinstance(one, bool) for one in value):
                found.append(name)
        elif isinstance(value, Mapping):
            found += [name] if value else []
        elif isinstance(value, int) and not isinstance(value, bool) and value > 1:
            found.append(name)
    return found

"""The fields of a Hugging Face ``config.json`` that tell an architecture: their kinds, bounds and other names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from cost_models.errors import LibraryError, shown
from cost_models.library import records
from cost_models.library.records import MOST_COUNT, MOST_LAYERS


def _named(*names: str) -> Any:
    return Field(default=None, validation_alias=AliasChoices(*names))


Width = records.Width | None
Tokens = records.Tokens | None
Count = records.Count | None
Words = Annotated[list[str], Field(max_length=MOST_LAYERS)] | None
Numbers = Annotated[list[int], Field(max_length=MOST_LAYERS)] | None
Switch = bool | None


class Config(BaseModel):
    """What a file says; None where it says nothing. Names are those of the fields, the first of several spellings."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    num_hidden_layers: records.Layers | None = _named("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    hidden_size: Width = _named("hidden_size", "n_embed", "n_embd", "d_model")
    num_attention_heads: Width = _named("num_attention_heads", "n_head", "n_heads")
    num_attention_heads_per_layer: Numbers = None
    num_key_value_heads: Width = _named(
        "num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads", "num_attention_groups"
    )
    head_dim: Width = _named("head_dim", "attention_head_dim", "kv_channels")
    intermediate_size: Width = _named("intermediate_size", "n_inner", "ffn_hidden_size", "ffn_dim")
    vocab_size: Width = _named("vocab_size", "padded_vocab_size")
    max_position_embeddings: Tokens = _named("max_position_embeddings", "n_positions", "seq_length", "max_seq_len")
    tie_word_embeddings: Switch = None
    multi_query_group_num: Width = None
    multi_query_attention: Switch = None
    multi_query: Switch = None
    new_decoder_architecture: Switch = None
    parallel_attn: Switch = None
    expansion_ratio: Width = None
    block_auto_adjust_ff_dim: Switch = None
    block_multiple_of: Width = None
    block_ffn_dim_multiplier: Annotated[float, Field(gt=0, lt=1000)] | None = None

    sliding_window: Count = _named("sliding_window", "sliding_window_size")
    use_sliding_window: Switch = None
    max_window_layers: Count = None
    sliding_window_pattern: records.Tokens | str | None = _named(
        "sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers", "layer_switch"
    )
    attention_chunk_size: Width = None
    no_rope_layers: Numbers = None
    no_rope_layer_interval: Width = None
    further_layers: Count = _named("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")
    layer_types: Words = _named("layer_types", "layers_block_type")
    global_head_dim: Width = None
    num_global_key_value_heads: Width = None
    num_kv_shared_layers: Count = None
    attention_k_eq_v: Switch = None
    use_double_wide_mlp: Switch = None
    hidden_size_per_layer_input: Count = None
    vocab_size_per_layer_input: Width = None
    laurel_rank: Width = None
    altup_num_inputs: Width = None
    num_key_value_heads_per_layer: Numbers = None
    share_q_dim: Width = None
    intermediate_sizes: Numbers = None
    linear_blocks: Count = None
    swa_num_attention_heads: Width = _named("swa_num_attention_heads", "num_sliding_attention_heads")
    swa_num_key_value_heads: Width = None
    swa_head_dim: Width = None
    swa_v_head_dim: Width = None
    enable_moe_block: Switch = None

    experts: Count = _named("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
    active: Count = _named(
        "num_experts_per_tok", "experts_per_token", "num_experts_per_token", "top_k_experts", "moe_topk", "moe_k",
        "moe_top_k",
    )  # fmt: skip
    zero_expert_num: Count = None
    moe_intermediate_size: Width = _named("moe_intermediate_size", "expert_ffn_hidden_size")
    dense_intermediate_size: Width = None
    prefix_dense_intermediate_size: Width = None
    intermediate_size_mlp: Width = None
    n_shared_experts: Count = _named(
        "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert"
    )
    shared_expert_intermediate_size: Count = None
    shared_intermediate_size: Count = _named("shared_intermediate_size", "share_expert_dim", "share_expert_dims")
    moe_shared_expert_intermediate_size: Count = None
    moe_latent_size: Count = None
    first_k_dense_replace: Count = _named("first_k_dense_replace", "num_dense_layers")
    mlp_layer_types: Words = None
    moe_layer_start_index: Count = None
    moe_layer_end_index: Annotated[int, Field(ge=-1, lt=MOST_COUNT)] | None = None
    moe_layer_interval: Width = None
    moe_layer_freq: records.Tokens | Numbers = _named("moe_layer_freq", "moe_layer_frequency")
    decoder_sparse_step: Count = None
    mlp_only_layers: Numbers = None
    interleave_moe_layer_step: Width = None
    moe_layers: Numbers = None
    expert_layer_period: Width = None
    expert_layer_offset: Count = None

    q_lora_rank: Count = None
    kv_lora_rank: Width = None
    qk_nope_head_dim: Width = None
    qk_rope_head_dim: Width = None
    v_head_dim: Width = None
    index_n_heads: Width = None
    index_head_dim: Width = None
    index_topk: Width = None
    index_topk_freq: Width = None
    index_skip_topk_offset: Count = None
    index_topk_pattern: str | Words = None
    indexer_types: Words = None

    full_attention_interval: Width = _named("full_attention_interval", "layer_group_size")
    attn_layer_period: Width = None
    attn_layer_offset: Count = None
    attn_layer_indices: Numbers = _named("attn_layer_indices", "full_attn_idxs")
    attn_type_list: Numbers = None
    hybrid_override_pattern: Annotated[str, Field(max_length=MOST_LAYERS)] | None = None
    state_heads: Width = _named(
        "linear_num_value_heads", "mamba_num_heads", "mamba_n_heads", "num_heads", "linear_num_heads"
    )
    state_head_dim: Width | str = _named("linear_value_head_dim", "mamba_head_dim", "mamba_d_head", "linear_head_dim")
    key_heads: Width = _named("linear_num_key_heads", "n_groups", "mamba_n_groups")
    key_dim: Width = _named("linear_key_head_dim", "ssm_state_size", "mamba_d_state", "state_size")
    conv_width: Width = _named(
        "linear_conv_kernel_dim", "conv_kernel", "mamba_d_conv", "conv_L_cache", "short_conv_kernel_size"
    )
    conv_bias: Switch = _named("use_conv_bias", "mamba_conv_bias")
    expand: Width = _named("mamba_expand", "expand")
    state_inner: Width = _named("mamba_d_ssm")
    step_rank: Width | str = _named("mamba_dt_rank", "time_step_rank")
    chunk_size: Width = _named("mamba_chunk_size", "chunk_size")
    state_dtype: str | None = _named("mamba_ssm_cache_dtype", "mamba_ssm_dtype")

    @classmethod
    def spellings(cls) -> dict[str, frozenset[str]]:
        """Return every name that a field of a file may have, with all names of the same field."""
        result: dict[str, frozenset[str]] = {}
        for name, field in cls.model_fields.items():
            alias = field.validation_alias
            names = frozenset({name, *(map(str, alias.choices) if isinstance(alias, AliasChoices) else ())})
            result |= dict.fromkeys(names, names)
        return result

    @classmethod
    def of(cls, fields: dict[str, Any], source: str) -> Config:
        """Return the fields of a file, those without a value left out; a list of one number is that number.

        Raises:
            LibraryError: every field that is not what it must be; spellings of one field that disagree.
        """
        for name, field in cls.model_fields.items():
            alias = field.validation_alias
            if not isinstance(alias, AliasChoices) or name == "max_position_embeddings":
                continue
            said = {
                str(key): _alike(str(key), fields[str(key)])
                for key in alias.choices
                if fields.get(str(key)) is not None
            }
            if len({repr(value) for value in said.values()}) > 1:
                told = " and ".join(f"{key} {shown(value)}" for key, value in said.items())
                raise LibraryError(f"{source}: {told} are spellings of one field and disagree")
        try:
            return cls.model_validate({key: _alike(key, value) for key, value in fields.items() if value is not None})
        except ValidationError as error:
            issues = [_fault(issue) for issue in error.errors()]
            raise LibraryError(f"{source}: {'; '.join(dict.fromkeys(issues))}") from None


PER_LAYER = frozenset(
    {"intermediate_size", "moe_intermediate_size", "num_key_value_heads", "num_attention_heads", "num_experts",
     "moe_topk", "num_shared_expert", "num_experts_per_tok"}
)  # fmt: skip
"""Fields of one number that some files tell layer by layer."""


def _alike(key: str, value: Any) -> Any:
    """Return what all layers have where a list tells the same of each."""
    if key not in PER_LAYER or not isinstance(value, list) or not value:
        return value
    first, *others = value
    return first if all(one == first for one in others) else value


def _fault(issue: Any) -> str:
    """Return what is wrong with one field; of what stands there no more than a glance."""
    return f"{issue['loc'][0]} {issue['msg'].replace('Input should be', 'must be')}, got {shown(issue['input'])}"

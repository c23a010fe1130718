"""The layer that drafts, as a model of its own."""

from dataclasses import replace

import pytest

from cost_models.library import shipped_library
from cost_models.workload.param_count import attentions, dense_blocks, expert_layers, ffn_matrices
from cost_models.workload.speculation import mtp_module


@pytest.mark.parametrize("key", ["llama3_8b", "gemma2_9b", "mixtral_8x7b", "deepseek_v3"])
def test_a_module_is_one_layer_of_its_model_and_the_matrix_that_joins_its_inputs(key):
    model = shipped_library().model(key)
    module, d = mtp_module(model), model.d_model
    assert (module.layers, module.sliding_window, module.window_layers) == (1, None, 0)
    assert attentions(module) == (replace(attentions(model)[0], layers=1),)
    *own, joining = dense_blocks(module)
    assert [(block.layers, block.d_ff) for block in own] == ([(1, model.d_ff)] if model.moe is None else [])
    assert joining.layers == 1 and 2 * d <= ffn_matrices(model) * joining.d_ff < 2 * d + ffn_matrices(model)
    assert expert_layers(module) == (0 if model.moe is None else 1)

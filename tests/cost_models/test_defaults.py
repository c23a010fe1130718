"""What is not told: one chip, one batch, no prefix, no window, 16 bits. A default is what changes nothing."""

import dataclasses
import inspect

import numpy as np

from cost_models.evaluate.chips import ChipSetup
from cost_models.evaluate.workload import Conversation, Workload
from cost_models.library import names
from cost_models.library.config_formats import _Weights
from cost_models.library.gguf_header import _Reader
from cost_models.performance import batching, interconnect, phases, roofline
from cost_models.performance.disaggregation import PrefillPool
from cost_models.performance.inference import Inference
from cost_models.performance.queue_chain import Traffic
from cost_models.performance.step_times import StepTimes
from cost_models.performance.waits import Wait
from cost_models.quantities.columns import Description
from cost_models.quantities.records import Metric, Parameter
from cost_models.silicon import area, chip, compute, cost
from cost_models.silicon.beachfront import Edge
from cost_models.silicon.machine import Machine
from cost_models.weights import decoder, lanes
from cost_models.weights.chip_execution import ChipExecution
from cost_models.weights.execution import Lanes
from cost_models.workload import mixing, serving
from cost_models.workload.formats import Formats
from cost_models.workload.operators import Shape
from cost_models.workload.param_count import Attention, LayerWeights
from cost_models.workload.serving import Layout, ServingConfig
from cost_models.workload.sessions import Sessions, Tier
from cost_models.workload.speculation import Speculation

DIVIDED = ("tensor_parallel", "stages", "replicas", "expert_parallel")
ONE = {
    # Chips, parts, batches and rows of which there is one; factors and shares that are whole.
    Shape: (*DIVIDED[:1], *DIVIDED[2:], "ranks_per_chip", "expert_spread"), Layout: DIVIDED,
    ServingConfig: (*DIVIDED, "expert_spread"), Workload: ("batch", "n_chips"), Inference: ("waves",),
    Lanes: ("count", "block", "depth"), StepTimes: ("tile_rows",), Traffic: ("arrival_cv",),
    PrefillPool: ("most_utilisation",), Tier: ("most_utilisation",),
    Machine: ("dequantize_rows", "arithmetic_known", "measured", "dies", "devices", "link_axes",
              "special_function_ops"),
    interconnect.all_to_all_s: ("chips",), interconnect.send_s: ("chips",), cost.usd_per_million_tokens: ("chips",),
    roofline.time_operators: ("replicas",), phases._fixed_s: ("scored",), mixing.decode_attention: ("queries",),
    lanes.lane_efficiency: ("depth",), lanes.expected_most_loaded: ("depth",), Layout.of: ("n_chips",),
    serving._footprint: ("vocabulary",),
}  # fmt: skip
NOTHING = {
    # What is added, reserved, drafted or spread, of which there is nothing; and what is not so unless it is said.
    Shape: ("all_experts", "prefix_tokens"), ServingConfig: ("prefix_tokens", "reused_tokens"),
    Workload: ("same_prompts",), Inference: ("in_flight",), Conversation: ("kept_gib", "tier_gib"),
    Sessions: ("kept_bytes",), Traffic: ("prompt_cv", "output_cv"), StepTimes: ("wait_s",),
    Formats: ("dequantized", "scaled_blocks", "rotated", "cache_unpack_ops"), _Weights: ("bits", "group"),
    phases.PhaseTime: ("capped_s",), Edge: ("second_units", "second_mm", "second_stacked"),
    Machine: ("dequantize_macs", "static_shapes", "die_link_bytes_per_s", "die_link_j_per_byte", "die_step_s",
              "link_added_s", "link_hop_s", "link_rivalry", "read_mostly_bytes", "vector_j_per_op"),
    LayerWeights: ("latent",), Parameter: ("low",), Metric: ("low",), Wait.of: ("floor_s",),
    StepTimes.step_s: ("varied",), phases.decode_phase: ("prompts",), batching.batch_that_fits: ("read_mostly_bytes",),
    serving.footprint: ("read_mostly_bytes",), area.area_blocks: ("core_isolation",),
    decoder.encoding_efficiency: ("rho",), lanes.lane_efficiency: ("correlation", "tolerance"),
    lanes.expected_most_loaded: ("correlation",),
}  # fmt: skip
NO = {
    Attention: ("chunked", "key_is_value", "gated", "indexed"), Speculation: ("shares_vocabulary",),
    ChipExecution: ("scales_blocks",), _Weights: ("zero_points",), Description: ("per_chip",), Parameter: ("integer",),
    Wait.of: ("even",), chip.chip_machine: ("half_accumulation",), compute.weight_decoder: ("unpacks_all",),
    names.resolve: ("quantized",),
}  # fmt: skip
YES = {
    Attention: ("own_kv",), Parameter: ("open_low",), names.spellings: ("quantized",), _Reader.text: ("keep",),
}  # fmt: skip
SIXTEEN = {
    ChipSetup: ("kv_bits", "act_bits"), Formats: ("operand_bits", "wide_bits"), _Weights: ("scale_bits",),
}  # fmt: skip


def default(of, name):
    """Return what a field or an argument is where it is not told."""
    if not inspect.isclass(of):
        return inspect.signature(of).parameters[name].default
    (field,) = (field for field in dataclasses.fields(of) if field.name == name)
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()


def test_what_is_not_told_changes_nothing():
    for neutral, table in ((1, ONE), (0, NOTHING), (16, SIXTEEN)):
        for of, told in table.items():
            for name in told:
                value = default(of, name)
                assert np.shape(value) in ((), (1,)) and not isinstance(value, bool), (of, name)
                assert np.all(value == neutral), (of, name)
    for answer, table in ((False, NO), (True, YES)):
        assert all(default(of, name) is answer for of, told in table.items() for name in told)
    assert np.isinf(phases.PhaseTime.__dataclass_fields__["sharing"].default_factory()).tolist() == [True]
    # A hand-over is between two stages.
    assert default(interconnect.send_s, "stages") == 2

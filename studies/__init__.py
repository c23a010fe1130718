"""The studies: one folder of results per row of the Mach-1 case and per way of planning, rebuilt from code."""

from __future__ import annotations

from studies import chips as chips
from studies import compressed as compressed
from studies import packages as packages
from studies import users as users
from studies.record import Context, Section, Study

STUDIES: tuple[Study, ...] = (
    Study("founding_pair", "The chip: 857 and 376 token/s in 150 W as a pair", chips.founding_pair),
    Study("fpga_proof", "The FPGA proof of concept: LLaMA-33B under 40 ms per token", chips.fpga_proof),
    Study("power_efficiency", "Eight times the power efficiency of GPUs and TPUs", chips.power_efficiency),
    Study("h200_eight", "Eight H200 at 467 token/s: which reading is sensible", chips.h200_eight),
    Study("splitting", "Splitting a model over many GPUs", chips.splitting),
    Study("pruning", "Unstructured pruning: lanes, sparsity, quality", compressed.pruning),
    Study("equal_blocks", "Equal-length encrypted blocks: speed follows compression", compressed.equal_blocks),
    Study("weight_only", "Weight-only quantisation as the batch grows", compressed.weight_only),
    Study("price_volume", "Five million won each at 150 000 to 200 000 units", chips.price_volume),
    Study("giant_250b", "250 billion parameters on one chip under 40 ms per token", chips.giant_250b),
    Study("capacity_planning", "Capacity planning: how many chips for a load within limits", lambda context: []),
    Study("edge_8b", "An edge device: 8 billion parameters within 10 W", lambda context: []),
    Study("moe_lpddr", "Mixtures of experts on LPDDR", lambda context: []),
    Study("long_context", "Long context, 32k to 128k tokens", lambda context: []),
    Study("prefill_heavy", "Prefill-heavy use", lambda context: []),
    Study("packages", "Silicon of 2026 at equal cost and at equal power", packages.packages),
    Study("two_chips", "One GPU that prefills beside how many LPDDR chips that decode", users.two_chips),
    Study("speculation", "When drafting tokens pays, by batch and chip", users.speculation),
    Study("traffic_mix", "A traffic mix", lambda context: []),
)
"""Every study, in the order of the index."""

__all__ = ["STUDIES", "Context", "Section", "Study"]

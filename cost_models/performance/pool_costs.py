"""What a prefill pool and the network to it add to the chips that decode."""

from __future__ import annotations

from dataclasses import dataclass

from cost_models.performance.disaggregation import Disaggregated
from cost_models.table import FloatArray, positive
from cost_models.tape import asarray


@dataclass(frozen=True)
class PoolCosts:
    """What the prefill pool and the network add to a decode group at a load; ``(n,)`` columns.

    Attributes:
        chips: chips that prefill, in part.
        price_usd: of them, and of all ports.
        tdp_w: their design limit, and all ports.
        waiting_w: power of their boards while they wait, and all ports.
        embodied_kg: carbon of making them.
        request_j: energy of their boards per request, reads and writes of what crosses among it.
    """

    chips: FloatArray
    price_usd: FloatArray
    tdp_w: FloatArray
    waiting_w: FloatArray
    embodied_kg: FloatArray
    request_j: FloatArray


def pool_costs(users: Disaggregated) -> PoolCosts:
    """Return what the prefill pool and the network cost a decode group."""
    pool, machine, network = users.pool, users.pool.result.machine, users.pool.network
    chips, taker = users.prefill_chips, users.result.machine
    ports = chips + asarray(users.result.serving.chips)
    idle_w = machine.static_w / machine.conversion_efficiency
    spent = pool.result.prefill_energy.board_j / asarray(pool.result.serving.sequences)
    sent = machine.dram_j_per_byte / machine.conversion_efficiency
    taken = taker.dram_j_per_byte / taker.conversion_efficiency
    rate = users.prefill_per_s
    # While they wait for the next prompt they draw what flows anyway.
    waiting = (1 - users.prefill_utilisation) * idle_w * pool.chips / positive(rate)
    served = users.served.requests_per_s * users.replicas
    ports_j = ports * asarray(network.w_per_chip) / positive(served)
    return PoolCosts(
        chips=chips,
        price_usd=machine.price_usd * chips + ports * asarray(network.usd_per_chip),
        tdp_w=machine.tdp_w * chips + ports * asarray(network.w_per_chip),
        waiting_w=idle_w * chips + ports * asarray(network.w_per_chip),
        embodied_kg=machine.embodied_kg * chips,
        request_j=spent + waiting + users.transfer_bytes * (sent + taken) + ports_j,
    )

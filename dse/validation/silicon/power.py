"""Power of real chips at peak, and of an LPDDR board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.silicon import power
from cost_models.silicon.compute import Scales
from cost_models.units import BITS_PER_BYTE, GIGA, OPS_PER_MAC, PICO, TERA
from dse.validation.silicon.area import chip_blocks
from dse.validation.silicon.rows import Row, mean_text, one, parameter, records

DELIVERY = "mac_n7.operand_delivery_factor"


def chip_watts(chip: Row, technology: Technology, *, curve: bool = False) -> dict[str, float]:
    """Return the power blocks of a chip of ``power.csv`` at peak.

    At nominal supply; with `curve` at that of the alpha-power law for its clock, or its published one.
    """
    node, value = f"nodes.{chip['node']}", technology.value
    nominal_v, supply_v = parameter(technology, f"{node}.vdd_nominal_v"), parameter(technology, f"{node}.vdd_nominal_v")
    if curve and np.isfinite(chip["clock_ghz"]):
        clock = chip["clock_ghz"] / parameter(technology, f"{node}.nominal_clock_ghz")
        threshold, alpha = value("clocking.threshold_over_nominal"), value("clocking.alpha")
        supply_v = nominal_v * float(power.supply_ratio(clock, threshold=threshold, alpha=alpha))
        supply_v = chip["supply_v"] if np.isfinite(chip["supply_v"]) else supply_v
    scales = Scales(one(1.0), one(parameter(technology, f"{node}.logic_energy_rel_n7")), power.dynamic_scale(
        supply_v, nominal_v))  # fmt: skip
    bare = parameter(technology, f"mac_n7.formats.{chip['mac_format']}.energy_bare_pj")
    joules = float((bare * PICO * parameter(technology, DELIVERY) * scales.energy)[0])
    die = one(chip["die_mm2"])
    memory_w, idle_w = float(np.nan_to_num(chip["memory_w"])), 0.0
    bytes_per_s = chip["bandwidth_gbps"] * GIGA
    if chip["memory"]:
        per_bit = parameter(technology, f"memory.{chip['memory']}.energy_total_pj_per_bit")
        memory_w = bytes_per_s * BITS_PER_BYTE * per_bit * PICO
        idle_w = chip["memory_gib"] * parameter(technology, f"memory.{chip['memory']}.idle_w_per_gib")
    stream = power.stream_j_per_byte(die, scales=scales, technology=technology)
    blocks = power.power_blocks(
        mac_array=one(chip["tops"] * TERA / OPS_PER_MAC * joules),
        memory=one(memory_w),
        on_chip=bytes_per_s * stream,
        weight_decoder=one(0.0),
        links=one(0.0),
        leakage=power.leakage_w(
            die,
            value(f"{node}.leakage_w_per_mm2"),
            supply_v,
            nominal_v,
            warmer_c=np.asarray(value("thermal.junction_c.air")) - value("thermal.leakage_reference_c"),
            doubling_c=value("thermal.leakage_doubling_c"),
        ),
        memory_idle=one(idle_w),
        board=one(parameter(technology, "board_load.fixed_w")),
        conversion_efficiency=value("board.vrm_efficiency"),
    )
    return {name: float(block[0]) for name, block in blocks.items()}


def power_check(technology: Technology) -> pd.DataFrame:
    """Return predicted and reference power; left out, operand delivery is fitted on the ten other chips."""
    chips = records("power", technology.library)
    rows = []
    for chip in chips:
        blocks = chip_watts(chip, technology)
        predicted = sum(blocks.values())
        delivery = fitted_delivery([one for one in chips if one is not chip], technology)
        left_out = sum(chip_watts(chip, technology.with_overrides({DELIVERY: delivery})).values())
        curved = sum(chip_watts(chip, technology, curve=True).values())
        reference = chip["reference_w"]
        shown = {name: blocks[name] for name in ("mac_array", "memory", "on_chip", "leakage")}
        rows.append({
            "chip": chip["chip"], **shown, "predicted_w": predicted, "reference_w": reference,
            "reference": chip["reference"], "error": predicted / reference - 1,
            "error_left_out": left_out / reference - 1, "error_at_clock": curved / reference - 1,
        })  # fmt: skip
    return pd.DataFrame(rows)


def fitted_delivery(chips: Sequence[Row], technology: Technology) -> float:
    """Return the operand-delivery factor whose mean logarithmic error over chips is zero."""

    def bias(factor: float) -> float:
        changed = technology.with_overrides({DELIVERY: factor})
        return float(np.mean([np.log(sum(chip_watts(c, changed).values()) / c["reference_w"]) for c in chips]))

    low, high = 0.1, 20.0
    for _ in range(50):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if bias(middle) < 0 else (low, middle)
    return float(np.sqrt(low * high))


def power_note(watts: pd.DataFrame, library: Library) -> str:
    """Return what the powers add up to, and the fitted factor."""
    delivery = library.parameters[DELIVERY].typ
    everyone = fitted_delivery(records("power", library), Technology(library=library))
    return (
        f"mean {mean_text(watts['error'])} in sample (operand delivery {delivery:.1f}), "
        f"{mean_text(watts['error_left_out'])} leave-one-out "
        f"(fitted on the others; {everyone:.2f} on all); "
        "at the supply of the alpha-power law for each clock "
        f"{mean_text(watts['error_at_clock'])}: boost clocks are not held at full rate within the TDP. "
        "The library's formula without on-chip movement, idle, board and temperature: 23 %"
    )


ANCHOR_NOTE = (
    "dies whose area is not published: predicted from their MACs (peak over an assumed clock) and SRAM; run at the "
    "clock of the board's peak and the supply of the alpha-power law for it"
)


def anchor_check(technology: Technology) -> pd.DataFrame:
    """Return the power of boards of several dies with LPDDR, from ``boards.csv``."""
    rows = []
    for board in records("boards", technology.library):
        macs = board["die_tops"] * TERA / OPS_PER_MAC / (board["die_clock_ghz"] * GIGA)
        die = {**board, "macs": macs, "other_interface_mm2": 0.0, "link_gbps": 0.0, "links": 0, "link_phy": ""}
        die_mm2 = sum(chip_blocks(die, technology).values())
        clock_ghz = board["die_clock_ghz"] * board["tops"] / board["dies"] / board["die_tops"]
        whole = {**board, "clock_ghz": clock_ghz, "supply_v": np.nan, "die_mm2": die_mm2, "memory_w": np.nan}
        blocks = chip_watts(whole, technology, curve=True)
        # All dies leak; wires are as long as one die.
        blocks["leakage"] *= board["dies"]
        delivered = sum(value for name, value in blocks.items() if name != "conversion_loss")
        blocks["conversion_loss"] = delivered * (1 / parameter(technology, "board.vrm_efficiency") - 1)
        predicted, reference_w = sum(blocks.values()), float(board["reference_w"])
        rows.append({
            "chip": board["chip"], "die_mm2": die_mm2, **blocks, "predicted_w": predicted, "reference_w": reference_w,
            "error": predicted / reference_w - 1,
        })  # fmt: skip
    return pd.DataFrame(rows)

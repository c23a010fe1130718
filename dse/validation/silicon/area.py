"""Area of real chips from what is published of their insides: six NPUs, a static machine, GPU dies by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cost_models.library import Library
from cost_models.library.technology import Technology
from cost_models.silicon import area
from cost_models.table import Choice
from cost_models.units import MM2_PER_UM2
from dse.validation.silicon.rows import Row, mean_text, one, parameter, read_checks, records

SURROUND = "floorplan.surround_over_sram"
NETWORK = "floorplan.programmable.noc_over_mac_array"


def chip_blocks(chip: Row, technology: Technology) -> dict[str, float]:
    """Return the blocks of a chip of ``area.csv`` in mm2."""
    node = f"nodes.{chip['node']}"
    um2 = parameter(technology, f"mac_n7.formats.{chip['mac_format']}.area_array_um2")
    per_mib = parameter(technology, f"{node}.sram_mm2_per_mib")
    memory = 0.0
    if chip["memory"]:
        memory = chip["memory_units"] * parameter(technology, f"memory.{chip['memory']}.phy_controller_mm2")
    # Links are counted one by one where their PHY is known, by their bandwidth elsewhere.
    links = chip["link_gbps"] * parameter(technology, "interfaces.link_mm2_per_gbps")
    if chip["links"]:
        links += chip["links"] * _phy_and_controller(chip["link_phy"], node, technology.library)
    host = float(chip["other_interface_mm2"])
    if chip["pcie_lanes"]:
        lane = _phy_and_controller(f"pcie{chip['pcie_generation']}_phy_mm2_per_lane", node, technology.library)
        host += chip["pcie_lanes"] * lane
    blocks = area.area_blocks(
        Choice.of(chip["architecture"]),
        mac_array=one(chip["macs"] * um2 * parameter(technology, f"{node}.logic_area_rel_n7") * MM2_PER_UM2),
        core_sram=one(chip["core_sram_mib"] * per_mib),
        cache_sram=one((chip["sram_mib"] - chip["core_sram_mib"]) * per_mib),
        memory_interface=one(memory),
        host_interface=one(host),
        link_interface=one(links),
        weight_decoder=one(0.0),
        technology=technology,
    )
    return {name: float(block[0]) for name, block in blocks.items()}


def _phy_and_controller(name: str, node: str, library: Library) -> float:
    """Return PHY, the same in every node, and controller by its transistors, of one lane or link in mm2."""
    evidence, path = library.evidence, f"interface_areas.{name}"
    density = evidence[f"{node}.transistor_density_mtr_per_mm2"].typ
    return evidence[path].typ + evidence[f"{path}.controller_transistors"].typ / 1e6 / density


def needed_surround(chip: Row, technology: Technology) -> float:
    """Return the surround over SRAM with which a chip's predicted area is the real one."""
    path = f"{SURROUND}.{chip['architecture']}"
    bare = technology.with_overrides({path: 0.0})
    without = sum(chip_blocks(chip, bare).values())
    with_one = sum(chip_blocks(chip, technology.with_overrides({path: 1.0})).values())
    return float((chip["die_mm2"] - without) / (with_one - without))


def area_check(technology: Technology) -> pd.DataFrame:
    """Return predicted and real areas; left out, the surround of the class is fitted on its other chips."""
    chips = records("area", technology.library)
    rows = []
    for chip in chips:
        predicted = sum(chip_blocks(chip, technology).values())
        others = [
            one for one in chips
            if one["architecture"] == chip["architecture"] and one["role"] == "fitted" and one is not chip
        ]  # fmt: skip
        error_left_out = np.nan
        if others and chip["role"] == "fitted":
            refit = technology.with_overrides(refit_parameters(others, technology))
            error_left_out = sum(chip_blocks(chip, refit).values()) / chip["die_mm2"] - 1
        rows.append({
            "chip": chip["chip"], "class": chip["architecture"], "role": chip["role"],
            "predicted_mm2": predicted, "real_mm2": chip["die_mm2"],
            "error": predicted / chip["die_mm2"] - 1, "error_left_out": error_left_out,
        })  # fmt: skip
    return pd.DataFrame(rows)


def refit_parameters(chips: Sequence[Row], technology: Technology) -> dict[str, float]:
    """Return the fitted parameters of a class from these chips of it alone: geometric means over the chips."""
    path = f"{SURROUND}.{chips[0]['architecture']}"
    if chips[0]["architecture"] != area.PROGRAMMABLE:
        return {path: float(np.exp(np.mean([np.log(needed_surround(chip, technology)) for chip in chips])))}
    photos = read_checks("blocks", technology.library).set_index(["chip", "block"])["photo_mm2"]
    surrounds, networks = [], []
    for chip in chips:
        blocks = chip_blocks(chip, technology.with_overrides({path: 1.0}))
        own = photos.loc[chip["chip"]]
        surrounds.append((own["cores"] - _cores(blocks, chip, 0.0)) / blocks["vector_and_control"])
        networks.append(chip["network_photo_mm2"] / blocks["mac_array"])
    return {path: float(np.exp(np.mean(np.log(surrounds)))), NETWORK: float(np.exp(np.mean(np.log(networks))))}


def _cores(blocks: Mapping[str, float], chip: Row, surround: float | None = None) -> float:
    """Return the mm2 of the cores: arrays, registers and L1, vector lanes and control."""
    vector = blocks["vector_and_control"] if surround is None else surround
    return blocks["mac_array"] + blocks["operand_delivery"] + _core_fraction(chip) * blocks["sram"] + vector


def _buffer(blocks: Mapping[str, float], chip: Row) -> float:
    return (1 - _core_fraction(chip)) * blocks["sram"] + blocks["cache_control"] + blocks["noc"]


def _core_fraction(chip: Row) -> float:
    return float(chip["core_sram_mib"] / chip["sram_mib"])


def block_check(technology: Technology) -> pd.DataFrame:
    """Return the blocks of GA100 and an Aldebaran die, predicted, as photographed, and after the peer."""
    chips = {chip["chip"]: chip for chip in records("area", technology.library)}
    table = read_checks("blocks", technology.library)
    rows = []
    for name, block, photo, peer in table[["chip", "block", "photo_mm2", "peer_mm2"]].itertuples(index=False):
        blocks = chip_blocks(chips[name], technology)
        predicted = {
            "cores": _cores(blocks, chips[name]),
            "global_buffer_and_network": _buffer(blocks, chips[name]),
            "memory_phy_and_controller": blocks["memory_interface"],
            "off_chip_phy_and_controller": blocks["link_interface"],
            "rest": blocks["host_interface"] + blocks["pads_and_rest"],
            "total": sum(blocks.values()),
        }[block]
        is_rest = block == "rest"
        rows.append({
            "chip": name, "block": block, "predicted_mm2": predicted, "photo_mm2": photo, "peer_mm2": peer,
            "error": np.nan if is_rest else predicted / photo - 1,
            "peers": np.nan if is_rest else peer / photo - 1,
        })  # fmt: skip
    return pd.DataFrame(rows)


def area_note(chips: pd.DataFrame) -> str:
    """Return what the areas add up to, and how the peer fares."""
    npus = chips[chips["class"] == "npu"]
    gpus = chips[(chips["class"] == area.PROGRAMMABLE) & (chips["role"] == "fitted")]
    return (
        f"six NPUs, one fitted constant: mean {mean_text(npus['error'])} in sample, "
        f"{mean_text(npus['error_left_out'])} leave-one-out (one multiplier on everything: 13 and 16 %). "
        f"GPUs, two constants: {mean_text(gpus['error'])} and "
        f"{mean_text(gpus['error_left_out'])}; peer LLMCompass, fitted on both: +0.5 % GA100, -7.5 % Aldebaran"
    )


def block_note(blocks: pd.DataFrame) -> str:
    """Return what the photos leave unattributed."""
    rest = blocks[blocks["block"] == "rest"].set_index("chip")["photo_mm2"]
    unnamed = ", ".join(f"{chip} {value:.0f}" for chip, value in rest.items())
    return (
        f"the photos leave unattributed (rest): {unnamed} mm2; predicted rest is host interface and pads. "
        "GA100's photo shows no link controllers: they are in its rest"
    )

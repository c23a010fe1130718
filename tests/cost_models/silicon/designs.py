"""Designs that tests of whole chips start from: one by one, and everywhere in the space."""

import numpy as np

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.cost import Economics
from cost_models.silicon.design import design_machine
from cost_models.silicon.machine import Machine
from cost_models.table import Choice

LIBRARY = shipped_library()
LIBRARY_PARAMETERS = LIBRARY.parameters
TECHNOLOGY, ECONOMICS = Technology(), Economics.of(LIBRARY)
NODES, GRADES = tuple(LIBRARY.nodes), tuple(LIBRARY.memory_grades)
OUTSIDE = tuple(
    grade
    for grade, entry in LIBRARY.memory_grades.items()
    if LIBRARY.memory(entry.technology).packaging_class != "on_die"
)
FORMATS, MAC_FORMATS = tuple(LIBRARY.weight_formats), tuple(LIBRARY.mac_formats)

DESIGN = {
    "node": "tsmc_5",
    "memory": "lpddr5x_9600",
    "memory_devices": 16,
    "memory_device_bits": 64,
    "memory_device_gib": 8,
    "macs": 131072,
    "clock_ghz": 1.0,
    "sram_mib": 64,
}


def table(*designs):
    """Return a table of designs from one mapping per row."""
    return {
        name: Choice.of(*(d[name] for d in designs))
        if isinstance(value, str)
        else np.array([float(d[name]) for d in designs])
        for name, value in designs[0].items()
    }


def machine(*designs, technology=TECHNOLOGY, economics=ECONOMICS, bits=None):
    return design_machine(table(*designs), technology, economics=economics, stored_bits=bits)


def columns_of(found: Machine):
    return {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}


def random_designs(rows, seed=0):
    """Return designs all over the space: every node with every memory, the rest at random."""
    rng = np.random.default_rng(seed)
    index = np.arange(rows)

    def pick(values):
        return Choice(values, rng.integers(0, len(values), rows))

    return {
        "node": Choice(NODES, index % len(NODES)),
        "memory": Choice(GRADES, index // len(NODES) % len(GRADES)),
        "memory_devices": rng.integers(1, 25, rows).astype(float),
        "memory_device_bits": rng.choice([32.0, 64.0, np.nan], rows),
        "memory_device_gib": rng.choice([0.5, 8.0, 16.0, 24.0], rows),
        "mac_format": pick(MAC_FORMATS),
        "macs": np.exp(rng.uniform(np.log(1024), np.log(2**20), rows)),
        "clock_ghz": rng.uniform(0.3, 2.0, rows),
        "supply_v": np.where(rng.random(rows) < 0.5, np.nan, rng.uniform(0.5, 1.0, rows)),
        "sram_mib": rng.uniform(1, 512, rows),
        "cores": rng.choice([1.0, 16.0, 128.0], rows),
        "spare_cores": rng.choice([0.0, 0.0, 1.0, 6.0], rows),
        "architecture": pick(("programmable", "npu", "static")),
        "cooling": pick(("air", "liquid")),
        "link_gbps": rng.choice([0.0, 100.0, 450.0], rows),
        "host_lanes": rng.choice([0.0, 8.0, 16.0], rows),
        "vector_lanes": rng.choice([np.nan, 1024.0, 8192.0], rows),
        "sustained_clock_ghz": rng.choice([np.nan, 0.3, 1.2], rows),
        "supply_rails": rng.choice([1.0, 2.0], rows),
        "weight_format": pick(FORMATS),
        "kv_bits": rng.choice([4.0, 8.0, 16.0], rows),
        "act_bits": rng.choice([8.0, 16.0], rows),
    }


EVERYWHERE = random_designs(len(NODES) * len(GRADES))


def typ(path):
    return LIBRARY_PARAMETERS[path].typ

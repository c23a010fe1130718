"""Parameters of a design."""

from __future__ import annotations

from collections.abc import Mapping

from cost_models.quantities.records import Parameter, index

# The most that numbers of a design may be, ten times and more beyond what has been built or announced by 2026: what
# is above was meant in another unit. A stack of HBM4 has 2048 bits, the largest memory module 4 TiB, a wafer-scale
# machine 900 000 cores and 44 GB of SRAM.
MOST_DEVICES, MOST_DEVICE_BITS, MOST_DEVICE_GIB = 65536.0, 65536.0, 1e6
MOST_UNITS, MOST_SRAM_MIB, MOST_GBPS = 1e9, 1e6, 1e6

PARAMETERS: Mapping[str, Parameter] = index(
    Parameter("node", "", "logic process node of the die", "tsmc_5", section="nodes"),
    Parameter("memory", "", "memory technology and speed grade", "lpddr5x_9600", section="memory_grades"),
    Parameter("memory_devices", "", "memory packages (LPDDR, GDDR) or stacks (HBM)", 16, integer=True,
              high=MOST_DEVICES),
    Parameter("memory_device_bits", "bit", "data width of one package or stack", None, integer=True,
              high=MOST_DEVICE_BITS),
    Parameter("memory_device_gib", "GiB", "capacity of one package or stack", 8.0, high=MOST_DEVICE_GIB),
    Parameter("memory_decoder", "",
              "1 where units beside the banks of the memory decode weights and cache, 0 where they take plain numbers "
              "alone", 0.0, integer=True, high=1.0, open_low=False),
    Parameter("second_memory", "",
              "memory behind the first, for what that has no room for or reads seldom; none where not given", None,
              section="memory_grades"),
    Parameter("second_memory_devices", "", "its packages, modules or stacks", 8, integer=True,
              needs=("second_memory",), high=MOST_DEVICES),
    Parameter("second_memory_device_bits", "bit", "data width of one of them; its technology's first where not given",
              None, integer=True, needs=("second_memory",), high=MOST_DEVICE_BITS),
    Parameter("second_memory_device_gib", "GiB", "capacity of one of them", 64.0, needs=("second_memory",),
              high=MOST_DEVICE_GIB),
    Parameter("macs", "", "multiply-accumulate units of the array", 131072, integer=True, high=MOST_UNITS),
    Parameter("mac_format", "", "operand pair that one MAC unit multiplies in one cycle", "int4xfp16", "mac_formats"),
    Parameter("array_rows", "",
              "inputs of one systolic array, along which products are summed; arrays are as software's tiles where "
              "neither these nor columns are given", None, integer=True, high=4096.0),
    Parameter("array_columns", "",
              "outputs of one systolic array; of the usual side, as rows are, where only the other is given", None,
              integer=True, high=4096.0),
    Parameter("dataflow", "", "what stays in a systolic array whose rows or columns are given: weights, or outputs",
              "weights", names=("weights", "outputs"), needs=("array_rows", "array_columns")),
    Parameter("clock_ghz", "GHz", "clock of the MAC array", 1.0, high=10.0),
    Parameter("sustained_clock_ghz", "GHz",
              "clock with everything busy, at which the design limit tdp_w stands (base clock); clock_ghz where not "
              "given", None, high=10.0),
    Parameter("supply_v", "V", "supply of the logic; the least that reaches the clock where not given", None, high=2.0),
    Parameter("supply_rails", "", "1 where logic and SRAM share a supply, 2 where each has its own", 1.0, integer=True,
              high=2.0,
              elsewhere="logic below the SRAM's least supply: flip-flops of a 22 nm node keep their hold times down to "
              "0.73 of nominal, and 16 % lower with larger inverters in the clock of each (Chen et al., Minimum Supply "
              "Voltage for Sequential Logic Circuits), which no area counts; SRAM stops at 0.80"),
    Parameter("vector_lanes", "", "lanes (FP32 and FP64 units) of the vector units; by MACs and class where not given",
              None, integer=True, high=MOST_UNITS),
    Parameter("sram_mib", "MiB", "on-chip SRAM", 64.0, high=MOST_SRAM_MIB),
    Parameter("dies", "",
              "equal logic dies of a package, to which arrays, SRAM, memory and links, and all operators, are dealt",
              1.0, integer=True, high=8.0),
    Parameter("die_link", "",
              "what lies between the dies of a package: its substrate, bridges of silicon, or silicon under all of "
              "them", "organic", names=("organic", "bridge", "interposer"), needs=("dies",)),
    Parameter("die_link_gbps", "GB/s", "bandwidth between a die and the others of its package, one way", 500.0,
              needs=("dies",), high=MOST_GBPS),
    Parameter("cores", "", "equal cores that arrays and SRAM of a die are divided into, for harvesting", 16.0,
              integer=True, high=MOST_UNITS),
    Parameter("spare_cores", "", "cores built beyond those, so that dies with as many bad ones can be sold", 0.0,
              integer=True, open_low=False, high=MOST_UNITS),
    Parameter("architecture", "", "class of machine around the MAC array; sets the area around the blocks", "npu",
              names=("programmable", "npu", "static")),
    Parameter("cooling", "", "what carries the heat away", "air", names=("air", "liquid")),
    Parameter("host_lanes", "", "lanes of the host interface (PCIe), 0 for none", 16.0, integer=True, high=32.0,
              open_low=False),
    Parameter("link_gbps", "GB/s", "chip-to-chip bandwidth, one way, all links of a chip", 0.0, open_low=False,
              high=MOST_GBPS),
    Parameter("weight_format", "", "how weights are stored", "int4_g128", section="weight_formats"),
    Parameter("expert_format", "",
              "how routed experts are stored; as their maker publishes them where that is narrower, if not given", None,
              section="weight_formats"),
    Parameter("weight_method", "", "how weights were quantised; the format's own where not given", None,
              names=("none", "rtn", "gptq", "awq", "omniquant", "qat", "vector", "kquant", "kquant_imatrix"),
              elsewhere="calibration, once per model: 1 to 16 hours of an A100 for 7 to 70 billion weights by "
              "OmniQuant (arXiv 2308.13137), minutes to hours by GPTQ (arXiv 2210.17323), training by QAT"),
    Parameter("weight_bits", "bit", "bits of a stored weight; the format's own where not given", None, integer=True,
              high=16.0),
    Parameter("weight_group", "",
              "weights that share a scale, 0 for a whole output channel; the format's own where not given", None,
              integer=True, open_low=False, high=MOST_UNITS),
    Parameter("sparsity", "", "share of weights pruned; the format's own where not given", None, high=0.99),
    Parameter("nm_n", "", "weights kept in every nm_m; the format's own where not given", None, integer=True,
              high=4096.0),
    Parameter("nm_m", "", "weights that nm_n are kept of; the format's own where not given", None, integer=True,
              high=4096.0),
    Parameter("n_in", "bit", "bits that a step of the XOR code stores; the format's own where not given", None,
              integer=True, high=4096.0),
    Parameter("n_out", "bit",
              "bits that a step of the XOR code yields; the most that its inputs pay for where not given", None,
              integer=True, high=4096.0),
    Parameter("shift_registers", "", "earlier steps that the XOR code remembers; the format's own where not given",
              None, integer=True, open_low=False, high=4096.0),
    Parameter("mask_correlation", "", "correlation rho of pruning within a block; the format's own where not given",
              None, high=0.99, open_low=False),
    Parameter("weight_execution", "",
              "how the array works through stored weights; the format's own way where not given", None,
              names=("dense", "direct", "gated", "skip", "bit_plane", "look_up", "dequantize")),
    Parameter("lanes", "", "lanes in lockstep where zeros are skipped", 64.0, integer=True, high=MOST_UNITS),
    Parameter("lane_block", "", "weights of a lane between two synchronisations", 128.0, integer=True, high=65536.0),
    Parameter("lane_depth", "", "blocks that a lane may run ahead of the slowest", 1.0, integer=True, high=64.0),
    Parameter("kv_bits", "bit", "stored bits of one KV-cache element", 8.0, high=32.0),
    Parameter(
        "kv_method",
        "",
        "how a KV cache of fewer than 16 bits is quantised: rotated, with a scale per head; grouped, with scales per "
        "token and group; calibrated codes with outliers kept wide; rotated where not given",
        None,
        names=("rotated", "grouped", "calibrated"),
    ),
    Parameter("act_bits", "bit", "bits of an activation in the linear layers and between them", 16.0, high=32.0),
    Parameter("act_method", "",
              "how activations of fewer than 16 bits are quantised; floating beside floating-point weights, else "
              "scaled, where not given", None, names=("scaled", "rotated", "floating"),
              elsewhere="a unit that takes floating-point activations: 1.5 to 2.8 times the area and energy of an "
              "integer one (execution.float_over_integer), which mac_format has paid for where it names one"),
    Parameter("serving_stack", "", "serving software: how close kernels come to peak", "static_compiled", "stacks"),
)  # fmt: skip
"""Parameters of a design, in the order in which tables show them."""


NONE = "none"
"""What a parameter is set to that a design may lack and shall lack."""


def unmet_needs(name: str, given: Mapping[str, object]) -> tuple[str, ...]:
    """Return the parameters of which one must be set before this one means anything; none where one is, or none must.

    Args:
        name: a parameter of a design, or anything else, which needs nothing.
        given: what is set, by name; a value at its parameter's default, or "none", is as good as absent.
    """
    needs = PARAMETERS[name].needs if name in PARAMETERS else ()
    return () if any(given.get(need, NONE) not in (PARAMETERS[need].default, NONE) for need in needs) else needs

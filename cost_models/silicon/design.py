"""From a design to a Machine: the silicon models put together, one row per design."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cost_models.library.technology import Technology
from cost_models.quantities import PARAMETERS, Parameter
from cost_models.silicon import area, carbon, compute, cost, memory, power
from cost_models.silicon.cost import Economics
from cost_models.silicon.machine import Machine
from cost_models.table import INACTIVE, Choice, Column, Designs, FloatArray, Number
from cost_models.units import BITS_PER_BYTE, GIGA, KIB, MIB, MM2_PER_UM2, NANO, OPS_PER_MAC, PICO
from cost_models.weights import activations
from cost_models.weights.execution import Lanes
from cost_models.weights.weight_storage import Storage

HOST_LANES = 16.0
"""Lanes that the parameters of the host interface are of."""


def default_row(name: str) -> Column:
    """Return the default of a parameter as a column of one row; NaN or inactive where it has none."""
    parameter = PARAMETERS[name]
    if isinstance(parameter.default, str):
        return Choice.of(parameter.default)
    if parameter.is_choice:
        return Choice((), np.array([INACTIVE], dtype=np.intp))
    return np.array([np.nan if parameter.default is None else float(parameter.default)])


def _filled(parameter: Parameter, column: Column | None) -> Column:
    if column is None:
        return default_row(parameter.name)
    if isinstance(column, Choice):
        return column.filled(parameter.default) if isinstance(parameter.default, str) else column
    if parameter.default is None or not np.isnan(column).any():
        return column
    return np.where(np.isnan(column), parameter.default, column)


class FilledDesigns(dict[str, Column]):
    """A table with a column for every parameter of a design, as `fill_defaults` makes it."""


def fill_defaults(designs: Designs) -> FilledDesigns:
    """Return a table with every parameter of a design, `PARAMETERS` defaults where a column or a row is silent.

    A missing column becomes one row, which stands for all; a table that is filled already is returned as it is.
    A parameter without default (``memory_device_bits``, ``supply_v``, ``weight_method``) stays NaN or inactive: the
    library decides per entry. Other columns (``technology.*``) pass through, behind the parameters.
    """
    if isinstance(designs, FilledDesigns):
        return designs
    filled = {name: _filled(parameter, designs.get(name)) for name, parameter in PARAMETERS.items()}
    return FilledDesigns({**filled, **{name: column for name, column in designs.items() if name not in filled}})


@dataclass(frozen=True)
class _Design:
    """A filled table of designs, and every block computed from it, each once."""

    columns: dict[str, Column]
    technology: Technology
    economics: Economics
    stored_bits: FloatArray | None

    def number(self, name: str) -> FloatArray:
        column = self.columns[name]
        assert not isinstance(column, Choice)
        return column

    @cached_property
    def drawn_rows(self) -> int:
        """Rows of the parameters that are columns, 1 where none is: a name must be repeated to gather from them."""
        return max((len(sampled) for sampled in self.technology.columns().values()), default=1)

    def choice(self, name: str) -> Choice:
        column = self.columns[name]
        assert isinstance(column, Choice)
        if len(column) == 1 < self.drawn_rows:
            return Choice(column.values, np.broadcast_to(column.codes, self.drawn_rows))
        return column

    def node(self, field: str) -> FloatArray:
        return self.technology.of("nodes", self.choice("node"), field)

    def every_row(self, path: str) -> FloatArray:
        return np.atleast_1d(np.asarray(self.technology.value(path), dtype=np.float64))

    @cached_property
    def nominal_v(self) -> FloatArray:
        return self.node("vdd_nominal_v")

    def of_class(self, path: str) -> FloatArray:
        """Return the parameter of the row's class of architecture."""
        return area.of_class(self.choice("architecture"), path, self.technology)

    def given(self, name: str, otherwise: FloatArray) -> FloatArray:
        """Return a parameter, and something else where it is not given."""
        column = self.number(name)
        return np.where(np.isnan(column), otherwise, column) if np.isnan(column).any() else column

    @cached_property
    def curve(self) -> dict[str, Number]:
        value = self.technology.value
        return {
            "threshold": value("clocking.threshold_over_nominal"),
            "alpha": value("clocking.alpha"),
            "guard": value("clocking.guard_over_nominal"),
        }

    @cached_property
    def nominal_clock_ghz(self) -> FloatArray:
        return self.node("nominal_clock_ghz") * self.of_class("clocking.clock_over_node")

    @cached_property
    def sustained_clock_ghz(self) -> FloatArray:
        """The clock at the design limit: the highest one where no other is given."""
        clock_ghz, sustained = self.number("clock_ghz"), self.number("sustained_clock_ghz")
        if np.isnan(sustained).all():
            return clock_ghz
        return np.minimum(np.where(np.isnan(sustained), clock_ghz, sustained), clock_ghz)

    @cached_property
    def least_v(self) -> FloatArray:
        """The least supply of the logic: that of the SRAM, unless it has a rail of its own."""
        value = self.technology.value
        sram, logic = (
            np.asarray(value(f"clocking.{name}")) for name in ("sram_least_over_nominal", "least_over_nominal")
        )
        return np.where(self.number("supply_rails") > 1, np.minimum(logic, sram), sram) * self.nominal_v

    def supply_at(self, clock_ghz: FloatArray) -> FloatArray:
        """Return the supply given, else the least that reaches a clock and at which the die works."""
        given = self.number("supply_v")
        if not np.isnan(given).any():
            return given
        needed = power.guarded_supply_ratio(clock_ghz / self.nominal_clock_ghz, **self.curve) * self.nominal_v
        return np.where(np.isnan(given), np.maximum(needed, self.least_v), given)

    @cached_property
    def supply_v(self) -> FloatArray:
        """The supply at the highest clock."""
        return self.supply_at(self.number("clock_ghz"))

    @cached_property
    def sustained_v(self) -> FloatArray:
        """The supply at the sustained clock."""
        if self.sustained_clock_ghz is self.number("clock_ghz"):
            return self.supply_v
        return self.supply_at(self.sustained_clock_ghz)

    @cached_property
    def sram_v(self) -> FloatArray:
        """The supply of the SRAM: of a rail of its own, or that of the logic."""
        least = np.asarray(self.technology.value("clocking.sram_least_over_nominal")) * self.nominal_v
        return np.maximum(self.supply_v, least)

    @cached_property
    def clocking(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """(used, allowed) of the clock at a given supply, and of the supply."""
        given, nominal = self.number("supply_v"), self.nominal_v
        highest = nominal * self.technology.value("clocking.highest_over_nominal")
        clock_ghz = self.number("clock_ghz")
        if np.isnan(given).all():
            reached = np.array([np.inf])
        else:
            reached = self.nominal_clock_ghz * power.guarded_clock_ratio(self.supply_v / nominal, **self.curve)
            reached = np.where(np.isnan(given), np.inf, reached)
        return {"clock_ghz": (clock_ghz, reached), "supply_v": (self.supply_v, highest)}

    @cached_property
    def scales(self) -> compute.Scales:
        voltage = power.dynamic_scale(self.supply_v, self.nominal_v) * self.of_class("model_error.power")
        return compute.Scales(self.node("logic_area_rel_n7"), self.node("logic_energy_rel_n7"), voltage)

    @cached_property
    def store(self) -> memory.MemorySystem:
        return memory.memory_system(
            self.choice("memory"),
            devices=self.number("memory_devices"),
            sram_mib=self.number("sram_mib"),
            clock_ghz=self.number("clock_ghz"),
            device_bits=self.number("memory_device_bits"),
            device_gib=self.number("memory_device_gib"),
            technology=self.technology,
        )

    @cached_property
    def storage(self) -> Storage:
        return Storage.of({**self.columns, "weight_format": self.choice("weight_format")}, self.technology.library)

    @cached_property
    def float_activations(self) -> FloatArray:
        """1 where activations of fewer than 16 bits are floating-point numbers, else 0."""
        narrow_bits = activations.narrow(self.number("act_bits"), self.technology)
        if not narrow_bits.any():
            return np.zeros(1)
        methods = activations.act_methods(self.columns, self.storage)
        return activations.is_method(methods, activations.FLOATING) * narrow_bits

    @cached_property
    def array(self) -> compute.MacArray:
        units, technology = self.choice("mac_format"), self.technology
        array = compute.mac_array(
            units,
            macs=self.number("macs"),
            clock_ghz=self.number("clock_ghz"),
            delivery=self.technology.value("mac_n7.operand_delivery_factor"),
            scales=self.scales,
            technology=technology,
        )
        factor = compute.float_factor(self.storage, units, self.float_activations, technology)
        return replace(array, mm2=array.mm2 * factor, j_per_pass=array.j_per_pass * factor)

    @cached_property
    def skip_lanes(self) -> Lanes:
        return Lanes(self.number("lanes"), self.number("lane_block"), self.number("lane_depth"))

    @cached_property
    def lane_overheads(self) -> compute.LaneOverheads:
        return compute.lane_overheads(
            self.storage,
            self.array,
            macs=self.number("macs"),
            act_bits=self.number("act_bits"),
            lanes=self.skip_lanes,
            sram_mm2_per_mib=self.node("sram_mm2_per_mib"),
            scales=self.scales,
            technology=self.technology,
        )

    @cached_property
    def lanes(self) -> FloatArray:
        """Lanes of the vector units."""
        return self.given("vector_lanes", self.number("macs") / self.of_class("floorplan.macs_per_lane"))

    @cached_property
    def decoder(self) -> compute.Decoder:
        return compute.weight_decoder(
            self.storage,
            bytes_per_s=self.store.bandwidth_bytes_per_s,
            clock_ghz=self.number("clock_ghz"),
            stored_bits=self.stored_bits,
            scales=self.scales,
            technology=self.technology,
        )

    @cached_property
    def arithmetic(self) -> compute.Arithmetic:
        uses = compute.arithmetic(
            self.storage,
            self.array,
            act_bits=self.number("act_bits"),
            kv_bits=self.number("kv_bits"),
            attention_act_bits=self.technology.value("serving.activation_bits"),
            technology=self.technology,
            chosen=self.choice("weight_execution"),
            lanes=self.skip_lanes,
        )
        if not uses.skips.any():
            return uses
        # A pass that is not skipped has its operands queued as well.
        kept = self.storage.map(lambda form: 1 - np.asarray(form.sparsity))
        whole = np.ceil(self.storage.map(lambda form: form.operand_bits) / self.array.weight_bits)
        whole = whole * np.ceil(self.number("act_bits") / self.array.activation_bits)
        queued = np.where(uses.skips > 0, self.lane_overheads.j_per_pass / self.array.j_per_pass * whole * kept, 0.0)
        return replace(uses, linear_energy=uses.linear_energy + queued)

    @cached_property
    def built(self) -> FloatArray:
        """Cores built over cores used."""
        return 1 + self.number("spare_cores") / self.number("cores")

    @cached_property
    def harvest(self) -> cost.Harvest | None:
        spare = self.number("spare_cores")
        if not spare.any():
            return None
        in_cores = sum(self.areas[name] for name in area.CORE_BLOCKS)
        return cost.Harvest(core_fraction=in_cores / self.die_mm2, cores=self.number("cores"), spare_cores=spare)

    @cached_property
    def dequantize_rows(self) -> FloatArray:
        """Rows that an dequantized weight serves."""
        return self.every_row("execution.dequantize_rows") if self.arithmetic.dequantize_macs.any() else np.ones(1)

    @cached_property
    def busiest(self) -> FloatArray:
        """Energy per cycle of the most a unit does over that of a plain pass; above 1 where operands are selected."""
        return np.maximum(self.arithmetic.linear_energy / self.arithmetic.linear, 1.0)

    @cached_property
    def array_mm2(self) -> FloatArray:
        """Area of the units, with operand selection, queues and control of lanes where zeros are skipped."""
        skips = self.arithmetic.skips
        if not skips.any():
            return self.array.mm2
        factor = np.asarray(self.technology.value("execution.skip_area_factor"))
        skipping = self.array.mm2 * factor + self.lane_overheads.mm2
        return np.where(skips > 0, skipping, self.array.mm2)

    @cached_property
    def core_isolation_mm2(self) -> FloatArray:
        """Area of what lets bad cores be switched off; nothing where none is spare."""
        spare, cores = self.number("spare_cores"), self.number("cores")
        if not spare.any():
            return np.zeros(1)
        each = self.of_class("floorplan.core_isolation_mm2_n7") * self.node("logic_area_rel_n7")
        return np.where(spare > 0, (cores + spare) * each, 0.0)

    @cached_property
    def interfaces(self) -> dict[str, FloatArray]:
        """Area of PHYs and controllers."""
        value = self.technology.value
        return {
            "memory_interface": self.store.interface_mm2,
            "host_interface": self.every_row("interfaces.host_mm2") * self.host_fraction,
            "link_interface": self.number("link_gbps") * value("interfaces.link_mm2_per_gbps"),
        }

    @cached_property
    def host_fraction(self) -> FloatArray:
        """Lanes of the host interface over those that its parameters are of."""
        return self.number("host_lanes") / HOST_LANES

    @cached_property
    def areas(self) -> dict[str, FloatArray]:
        classes, logic = self.choice("architecture"), self.node("logic_area_rel_n7") * self.built
        lane_mm2 = self.of_class("floorplan.lane_um2_n7") * MM2_PER_UM2
        return area.area_blocks(
            classes,
            mac_array=self.array_mm2 * self.built,
            vector_unit=self.lanes * lane_mm2 * logic,
            sram=self.number("sram_mib") * self.node("sram_mm2_per_mib") * self.built,
            interfaces=self.interfaces,
            gbps=self.store.off_die_bytes_per_s / GIGA + self.number("link_gbps"),
            weight_decoder=self.decoder.mm2,
            edge_mm=area.total(self.edges),
            core_isolation=self.core_isolation_mm2,
            technology=self.technology,
        )

    @cached_property
    def die_mm2(self) -> FloatArray:
        return area.total(self.areas)

    @cached_property
    def edges(self) -> dict[str, FloatArray]:
        return {
            "memory": self.store.edge_mm,
            "host": self.every_row("interfaces.host_edge_mm") * self.host_fraction,
            "links": self.number("link_gbps") * self.technology.value("interfaces.link_edge_mm_per_gbps"),
        }

    @cached_property
    def moved_j_per_byte(self) -> FloatArray:
        """On-die energy of a byte from the memory's interface to the arrays: bank and wires."""
        moved = power.stream_j_per_byte(
            self.die_mm2 * self.store.off_die,
            scales=self.scales,
            sram_voltage=power.dynamic_scale(self.sram_v, self.nominal_v) * self.of_class("model_error.power"),
            technology=self.technology,
        )
        return moved

    @cached_property
    def stream_j_per_byte(self) -> FloatArray:
        """On-die energy of a streamed byte as programs run, by class of architecture."""
        classes = self.choice("architecture")
        if area.PROGRAMMABLE not in classes.values:
            return self.moved_j_per_byte
        programmable = classes.map(lambda name: float(name == area.PROGRAMMABLE)) > 0
        measured = power.programmable_stream_j_per_byte(self.technology)
        return np.where(programmable, measured, self.moved_j_per_byte)

    @cached_property
    def link_bytes_per_s(self) -> FloatArray:
        return self.number("link_gbps") * GIGA

    @cached_property
    def link_j_per_byte(self) -> FloatArray:
        pj_per_bit = self.every_row("noc_energy.die_to_die_pj_per_bit.serdes_112g_long_reach")
        return pj_per_bit * (PICO * BITS_PER_BYTE)

    @cached_property
    def conversion_efficiency(self) -> FloatArray:
        return self.every_row("board.vrm_efficiency")

    @cached_property
    def junction_c(self) -> FloatArray:
        return self.choice("cooling").map(lambda name: self.technology.value(f"thermal.junction_c.{name}"))

    @cached_property
    def at_limit(self) -> FloatArray:
        """Dynamic energy at the sustained clock over that at the highest one."""
        if self.sustained_v is self.supply_v:
            return np.ones(1)
        return np.asarray((self.sustained_v / self.supply_v) ** 2)

    @cached_property
    def cap_exponent(self) -> FloatArray:
        """Exponent of dynamic energy in the clock: 2 d ln V / d ln f of the alpha-power law with its guard band.

        f goes with (u - t)^a / u and V with g + (1 - g) u. A supply that is given does not follow the clock.
        """
        value = self.technology.value
        threshold, alpha = value("clocking.threshold_over_nominal"), value("clocking.alpha")
        guard, supply = np.asarray(value("clocking.guard_over_nominal")), self.supply_v / self.nominal_v
        needed = np.maximum((supply - guard) / (1 - guard), np.asarray(threshold) + 1e-6)
        slope = 1 / (alpha * needed / (needed - threshold) - 1)
        return np.where(np.isnan(self.number("supply_v")), 2 * slope * (1 - guard) * needed / supply, 0.0)

    @cached_property
    def lane_w(self) -> FloatArray:
        """Power of the lanes at the highest clock, each busy in every cycle."""
        joules = self.of_class("on_chip.lane_pj_n7") * self.scales.energy * PICO
        return np.asarray(self.lanes * self.number("clock_ghz") * GIGA * joules)

    @cached_property
    def watts(self) -> dict[str, FloatArray]:
        """The design limit: everything busy at the sustained clock."""
        bandwidth, core = self.store.bandwidth_bytes_per_s, self.at_limit
        if self.sustained_clock_ghz is not self.number("clock_ghz"):
            core = core * self.sustained_clock_ghz / self.number("clock_ghz")
        return power.power_blocks(
            mac_array=self.array.passes_per_s * self.array.j_per_pass * self.busiest * core,
            vector=self.lane_w * core,
            memory=bandwidth * self.store.j_per_byte,
            on_chip=bandwidth * self.moved_j_per_byte * self.at_limit,
            weight_decoder=bandwidth * self.decoder.j_per_byte * self.at_limit,
            links=self.link_bytes_per_s * self.link_j_per_byte,
            leakage=self.leakage_w,
            memory_idle=self.store.idle_w,
            board=self.every_row("board_load.fixed_w"),
            conversion_efficiency=self.conversion_efficiency,
        )

    @cached_property
    def leakage_w(self) -> FloatArray:
        """Leakage at the sustained clock's supply."""
        value = self.technology.value
        return power.leakage_w(
            self.die_mm2,
            self.node("leakage_w_per_mm2"),
            self.sustained_v,
            self.nominal_v,
            warmer_c=self.junction_c - np.asarray(value("thermal.leakage_reference_c")),
            doubling_c=value("thermal.leakage_doubling_c"),
        )

    @cached_property
    def tdp_w(self) -> FloatArray:
        return area.total(self.watts)

    @cached_property
    def dollars(self) -> dict[str, FloatArray]:
        die = cost.die_blocks(
            self.die_mm2,
            wafer_usd=self.node("wafer_price_usd"),
            defects_per_cm2=self.node("defect_density_per_cm2"),
            yield_model=self.economics.yield_model,
            technology=self.technology,
            harvest=self.harvest,
        )
        package = cost.package_blocks(
            self.die_mm2,
            die_usd=die["die"] + die["die_test"],
            memory_usd=self.store.price_usd,
            stacks=self.store.stacks,
            on_interposer=self.store.on_interposer,
            balls=self.package_limits["package_balls"][0],
            technology=self.technology,
        )
        second_rail = (self.number("supply_rails") > 1) * self.every_row("board_load.second_rail_usd")
        board = cost.board_usd(self.tdp_w, self.technology) + second_rail
        if "liquid" in self.choice("cooling").values:
            per_w = np.asarray(self.technology.value("board.liquid_cooling_usd_per_w"))
            board = board + self.tdp_w * per_w * self.choice("cooling").map(lambda name: float(name == "liquid"))
        return {**die, **package, "memory": self.store.price_usd, "board": board}

    @cached_property
    def embodied_kg(self) -> FloatArray:
        good = cost.good_fraction(
            self.die_mm2,
            self.node("defect_density_per_cm2"),
            yield_model=self.economics.yield_model,
            technology=self.technology,
            harvest=self.harvest,
        )
        return carbon.die_kg(self.choice("node"), self.die_mm2, good, self.technology) + self.store.embodied_kg

    @cached_property
    def cost_usd(self) -> FloatArray:
        return area.total(self.dollars)

    @cached_property
    def nre_usd(self) -> FloatArray:
        return cost.nre_usd(
            mask_set_usd=self.node("mask_set_usd"),
            design_nre_usd=self.node("design_nre_usd"),
            economics=self.economics,
        )

    @cached_property
    def price_usd(self) -> FloatArray:
        return cost.price_usd(
            self.cost_usd,
            mask_set_usd=self.node("mask_set_usd"),
            design_nre_usd=self.node("design_nre_usd"),
            economics=self.economics,
        )

    @cached_property
    def limits(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        floorplan = area.floorplan_limits(
            self.die_mm2,
            edge_mm=area.total(self.edges),
            tdp_w=self.tdp_w,
            cooling=self.choice("cooling"),
            technology=self.technology,
        )
        not_offered = self.store.not_offered
        return {
            **floorplan,
            **self.package_limits,
            **self.clocking,
            "sram_mib": (self.least_sram_mib, self.number("sram_mib")),
            "memory_device": (not_offered, np.zeros_like(not_offered)),
        }

    @cached_property
    def package_limits(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """(used, allowed) of what the package can carry."""
        delivered_w = area.total({name: self.watts[name] for name in ("mac_array", "vector", "on_chip", "leakage")})
        return area.package_limits(
            self.die_mm2,
            board_memory_bits=self.store.board_bits,
            stacks=self.store.stacks,
            link_gbps=self.number("link_gbps"),
            supply_w=delivered_w,
            supply_v=self.sustained_v,
            technology=self.technology,
        )

    @cached_property
    def least_sram_mib(self) -> FloatArray:
        """SRAM that operand buffers, bytes in flight from the memory and a tile of activations take."""
        value = self.technology.value
        operands = compute.operand_buffer_bytes(self.array, self.number("macs"))
        in_flight = self.store.bandwidth_bytes_per_s * (np.asarray(value("on_chip.memory_latency_ns")) * NANO)
        width = self.number("act_bits") / np.asarray(value("serving.activation_bits"))
        tile = np.asarray(value("on_chip.activation_tile_kib")) * KIB * width
        return np.asarray((operands + in_flight + tile) / MIB)


def design_machine(
    designs: Designs, technology: Technology, *, economics: Economics, stored_bits: FloatArray | None = None
) -> Machine:
    """Return the Machine of each design; what no column varies has one row.

    Equations stand in `compute`, `memory`, `area`, `power` and `cost`. The weight decoder is sized to peak memory
    bandwidth and therefore limits nothing. `limits` says where a design cannot be built: reticle, die edge, heat, and
    ``memory_device`` (used 1, allowed 0) where the technology has no device of that width or capacity.

    Args:
        designs: table of parameters; missing ones take their defaults (`fill_defaults`).
        technology: parameters.
        economics: business terms.
        stored_bits: stored bits per body weight, metadata included; XOR-coded formats use it for the share of the
            stream that their network sees (all of it where None).

    Raises:
        UnknownEntryError: a node, memory grade or format that the library does not hold.
    """
    design = _Design(fill_defaults(designs), technology, economics, stored_bits)
    store, array, uses, watts = design.store, design.array, design.arithmetic, design.watts
    linear_rate, linear_j = compute.rate_and_energy(array, uses.linear, uses.linear_energy)
    head_rate, head_j = compute.rate_and_energy(array, uses.head)
    attention_rate, attention_j = compute.rate_and_energy(array, uses.attention)
    return Machine(
        linear_mac_per_s=linear_rate,
        head_mac_per_s=head_rate,
        attention_mac_per_s=attention_rate,
        linear_j_per_mac=linear_j,
        head_j_per_mac=head_j,
        attention_j_per_mac=attention_j,
        bandwidth_bytes_per_s=store.bandwidth_bytes_per_s,
        stream_efficiency=store.stream_efficiency,
        capacity_bytes=store.capacity_bytes,
        sram_bytes=design.number("sram_mib") * MIB,
        dequantize_bytes_per_s=np.array([np.inf]),
        dequantize_macs=uses.dequantize_macs,
        static_shapes=design.choice("architecture").map(lambda name: float(name == "static")),
        dequantize_rows=design.dequantize_rows,
        link_bytes_per_s=design.link_bytes_per_s,
        dram_j_per_byte=store.j_per_byte,
        sram_j_per_byte=design.stream_j_per_byte,
        link_j_per_byte=design.link_j_per_byte,
        dequantize_j_per_byte=design.decoder.j_per_byte,
        static_w=watts["leakage"] + watts["memory_idle"] + watts["board"],
        conversion_efficiency=design.conversion_efficiency,
        tdp_w=design.tdp_w,
        die_mm2=design.die_mm2,
        cost_usd=design.cost_usd,
        price_usd=design.price_usd,
        nre_usd=design.nre_usd,
        embodied_kg=design.embodied_kg,
        cap_exponent=design.cap_exponent,
        cap_least=np.minimum((design.least_v / design.supply_v) ** 2, 1.0),
        peak_ops_per_s={
            "linear": OPS_PER_MAC * linear_rate,
            "head": OPS_PER_MAC * head_rate,
            "attention": OPS_PER_MAC * attention_rate,
        },
        blocks={"area_mm2": design.areas, "tdp_w": watts, "cost_usd": design.dollars, "edge_mm": design.edges},
        limits=design.limits,
    )

"""SI prefixes and binary sizes, by name: formulas compute in bytes, seconds, joules, watts; areas stay in mm2."""

from __future__ import annotations

TERA = 1e12
GIGA = 1e9
NANO = 1e-9
PICO = 1e-12
FEMTO = 1e-15
KIB = 2.0**10
MIB = 2.0**20
GIB = 2.0**30
BITS_PER_BYTE = 8.0
OPS_PER_MAC = 2.0
MM2_PER_UM2 = 1e-6
MM2_PER_CM2 = 100.0

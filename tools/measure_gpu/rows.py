"""Tables of rows in the forms that ``dse validate`` reads, written whole after every row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

Cells = Mapping[str, object]

SOURCE = ("id", "split", "source_id", "source_title", "source_url_or_repo_path")
SPREAD = ("low", "high", "rounds", "calls", "timing", "kernel", "checked_error", "extrapolated_from_layers")
PROVENANCE = (
    "device_name", "driver", "runtime", "torch_version", "commit", "seed", "clock_sm_mhz", "clock_memory_mhz",
    "clock_sm_max_mhz", "clock_memory_max_mhz", "power_limit_W",
)  # fmt: skip

OPERATORS = (
    *SOURCE, "chip", "n_chips", "kind", "dtype", "m", "n", "k", "size_bytes", "metric", "value", "fraction_of_peak",
    "software", "date", "grade", "note", "batch", "seq_len", "heads", "kv_heads", "head_dim", "bound_flag",
    "weight_bits", "sparsity", *SPREAD, *PROVENANCE,
)  # fmt: skip
REQUESTS = (
    *SOURCE, "location", "chip", "n_chips", "parallelism", "model", "weight_bits", "act_bits", "kv_bits", "batch",
    "batch_mode", "input_len", "output_len", "metric", "scope", "value", "raw_value", "raw_unit", "software", "date",
    "grade", "bound_ratio", "bound_basis", "bound_flag", "config_key", "note", *SPREAD, *PROVENANCE,
)  # fmt: skip
ENERGY = (
    *SOURCE, "chip", "n_chips", "model", "weight_bits", "batch", "batch_mode", "input_len", "output_len", "phase",
    "power_W_total", "energy_J_per_output_token", "median_itl_ms", "output_tokens_per_s", "power_basis", "date",
    "grade", "note", "kind", "dtype", "m", "n", "k", "latency_us", "energy_uJ_per_call", "bound_flag", "software",
    *SPREAD, *PROVENANCE,
)  # fmt: skip
WEIGHT_ONLY = (
    "source", "gpu", "method", "bits", "batch_M", "shape", "speedup_vs_fp16", "note", "id", "chip", "n", "k",
    "software", "date", *PROVENANCE,
)  # fmt: skip
SPARSE = (
    "source", "gpu", "sparsity", "shape", "speedup_vs_cublas", "kernel", "pattern", "batch_N", "note", "id", "chip",
    "n", "k", "software", "date", *PROVENANCE,
)  # fmt: skip

TABLES = {
    "operators": ("gpu_micro.csv", OPERATORS),
    "requests": ("gpu_steps.csv", REQUESTS),
    "energy": ("gpu_energy.csv", ENERGY),
    "weight_only": ("gpu_weight_only.csv", WEIGHT_ONLY),
    "sparse": ("gpu_sparse.csv", SPARSE),
}
"""File and columns of each form; the last two are worked out from the first."""

SAME = ("device_name", "torch_version", "seed")
"""Columns in which the rows of one folder must agree."""


class RowsError(RuntimeError):
    """A folder holds rows that do not go with what is measured."""


class Table:
    """Rows of one file, by id."""

    def __init__(self, folder: Path, form: str) -> None:
        name, self.columns = TABLES[form]
        self.path, self.form = folder / name, form
        self.rows: dict[str, dict[str, str]] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != self.columns:
                raise RowsError(f"{self.path}: has other columns than this script writes; take another folder")
            self.rows = {row["id"]: row for row in reader}

    def agree(self, provenance: Mapping[str, str]) -> None:
        """Raise unless the rows that are there come from the same device, PyTorch and seed."""
        for row in self.rows.values():
            other = [f"{key} {row[key]!r}, now {provenance[key]!r}" for key in SAME if row[key] != provenance[key]]
            if other:
                raise RowsError(
                    f"{self.path}: row {row['id']} was measured with {'; '.join(other)}; take another folder"
                )

    def add(self, row: Cells) -> None:
        """Add a row, or replace the one of its id, and write the file."""
        self.put(row)
        self.write()

    def put(self, row: Cells) -> None:
        """Add a row, or replace the one of its id, without writing."""
        unknown = sorted(set(row) - set(self.columns))
        if unknown:
            raise RowsError(f"{self.path.name} has no columns {', '.join(unknown)}")
        self.rows[str(row["id"])] = {name: _text(row.get(name, "")) for name in self.columns}

    def write(self) -> None:
        """Write the file under another name first, so that a stop at any moment leaves a whole one."""
        if not self.rows:
            return
        aside = self.path.with_suffix(".part")
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows.values())
        aside.replace(self.path)


def _text(value: object) -> str:
    """Return a cell: six significant digits of floats, nothing for what is not known."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

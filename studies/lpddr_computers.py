"""Measured computers with compressed weights in LPDDR, typed as designs: are their decode steps predicted?

Memory grade, width, MACs and clock as published (``lpddr_computers.yaml``), the format and the mean bits of each file,
a general serving stack, and nothing of the chip's entry in the library. Every measured decode row of grade A is
predicted as a design is; one row at a time would give the same.

    python -m studies.lpddr_computers                    by machine, bits, model and batch
    python -m studies.lpddr_computers --write            and the table of docs/lpddr.md
    python -m studies.lpddr_computers --csv rows.csv     and every row as CSV
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import yaml

from cost_models.evaluate.serve import serve_designs
from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from cost_models.silicon.cost import Economics
from cost_models.table import Choice, Column, Table
from dse.time_intervals import NARROW_BITS
from dse.validation import requests
from dse.validation.rows import read_measurements
from dse.validation.setups import row_workload
from studies import pages

SETTINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
LIBRARY = shipped_library()
PAGE = "lpddr.md"


def decode_rows() -> pd.DataFrame:
    """Return the measured decode rows of the machines, with measured time."""
    _, rows = read_measurements(LIBRARY.data_file("open.csv"), LIBRARY)
    rows = requests.prepare(rows[rows["chip"].isin(SETTINGS["machines"]) & (rows["grade"] == "A")])
    rows = rows[(rows["reason"] == "") & (rows["quantity"] == "decode") & (rows["batch_mode"] == "static")]
    return rows.assign(measured_s=requests.measured_s(rows), expert_spread=np.nan).reset_index(drop=True)


def designs_of(rows: pd.DataFrame, stack: str) -> dict[str, Column]:
    """Return the designs that stand for rows of one machine, one each."""
    machine = SETTINGS["machines"][rows["chip"].iloc[0]]["design"]
    fixed: dict[str, Any] = dict(Table.from_settings(machine | {"serving_stack": stack}))
    formats = SETTINGS["formats"]
    narrow = rows["weight_bits"] <= NARROW_BITS
    return fixed | {
        "weight_format": Choice.of(*np.where(narrow, formats["narrow"], formats["wide"])),
        "stored_bits": rows["weight_bits"].to_numpy(dtype=np.float64),
        "kv_bits": rows["kv_bits"].to_numpy(dtype=np.float64),
        "act_bits": rows["act_bits"].to_numpy(dtype=np.float64),
    }


def predicted(rows: pd.DataFrame, technology: Technology) -> pd.DataFrame:
    """Return rows with the time that each stack predicts, in a column of the stack's name, and the ratio of each."""
    rows = rows.copy()
    for stack in SETTINGS["stacks"]:
        for _, part in rows.groupby(["chip", "model", "kind", "cache_split"], sort=False):
            economics = Economics.of(technology.library)
            served = serve_designs(designs_of(part, stack), row_workload(part), technology, economics)
            rows.loc[part.index, stack] = np.broadcast_to(served.inference.decode_s, len(part))
        rows[f"{stack}_ratio"] = rows[stack] / rows["measured_s"]
    return rows


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the median times in ms, and the median error and ratio of each stack, by what rows have in common.

    That is machine, width of the weights, dense or mixture of experts, and one request or several; then all, and all
    of 4 bits.
    """
    narrow = rows["weight_bits"] <= NARROW_BITS
    mixture = [LIBRARY.model(key).moe is not None for key in rows["model"]]
    told = rows.assign(
        width=np.where(narrow, "4-bit", "8-bit"),
        kind=np.where(mixture, "mixtures of experts", "dense"),
        requests=np.where(rows["used_batch"] > 1, "2 to 32 requests", "one request"),
    )

    def line(part: pd.DataFrame) -> pd.Series[float]:
        ratios = {stack: part[f"{stack}_ratio"] for stack in SETTINGS["stacks"]}
        errors = {f"{stack} error": (ratio - 1).abs().median() for stack, ratio in ratios.items()}
        biases = {f"{stack} ratio": ratio.median() for stack, ratio in ratios.items()}
        times = {stack: part[stack].median() * 1e3 for stack in SETTINGS["stacks"]}
        return pd.Series(
            {"rows": len(part), "measured_ms": part["measured_s"].median() * 1e3, **times, **errors, **biases}
        )

    groups = ["chip", "width", "kind", "requests"]
    by_kind = cast("pd.DataFrame", told.groupby(groups).apply(line, include_groups=False))
    sums = pd.DataFrame({("all", "", "", ""): line(told), ("all 4-bit", "", "", ""): line(told[narrow])}).T
    return pd.concat([by_kind, sums.rename_axis(groups)])


def page_table(found: pd.DataFrame) -> list[str]:
    """Return `table` as the page shows it."""
    columns = [(stack, what) for stack in SETTINGS["stacks"] for what in ("error", "ratio")]

    def cells(one: pd.Series[float]) -> list[str]:
        return [
            f"{one[f'{stack} error']:.1%}".replace("%", " %") if what == "error" else f"{one[f'{stack} ratio']:.2f}"
            for stack, what in columns
        ]

    rows = [
        (
            LIBRARY.chip(chip).name if chip in LIBRARY.chips else chip,
            ", ".join(filter(None, words)),
            int(one["rows"]),
            *cells(one),
        )
        for (chip, *words), one in found.iterrows()
    ]
    return pages.table(("machine", "weights", "rows", *(f"`{stack}`: {what}" for stack, what in columns)), rows)


def main() -> None:
    """Print, and write every row when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--csv", type=Path, help="file for every row")
    options.add_argument("--write", action="store_true", help=f"put the table into docs/{PAGE}")
    asked = options.parse_args()
    rows = predicted(decode_rows(), Technology(library=LIBRARY))
    found = table(rows)
    print(found.round(3).to_string())
    if asked.write:
        pages.write(PAGE, {"machines": page_table(found)})
    if asked.csv is not None:
        kept = ["chip", "model", "weight_bits", "used_batch", "prompt", "software", "measured_s"]
        rows[[*kept, *SETTINGS["stacks"]]].to_csv(asked.csv, index=False)


if __name__ == "__main__":
    main()

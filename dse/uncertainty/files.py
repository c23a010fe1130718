"""The tables that Monte Carlo samples leave in a run directory, in ``robust/``.

designs.csv   per design: typical value, P10, P50, P90 of every metric, probability to meet every target and all of them
inputs.csv    per input and metric of one design: what the low and high end do, and shares of the variance
parameters.csv   the parameters that were drawn: range, shape, shared factor, confidence
draws.json    how many draws, their seed, which design the inputs are of
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models.library.foreign import read_json
from dse.errors import RunError
from dse.packing import Record
from dse.results.directory import checked, replacing, write_json
from dse.results.manifest import read_manifest
from dse.results.store import StoredRun, holding
from dse.sweep import Spec
from dse.uncertainty.intervals import Robustness
from dse.uncertainty.sensitivity import Swing

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "robust"
"""Folder of the tables in a run directory."""

DESIGNS, INPUTS, PARAMETERS, DRAWS = FILES = ("designs.csv", "inputs.csv", "parameters.csv", "draws.json")

_OF_DESIGNS = ("id", "p_feasible", "nondominated_fraction")
_OF_INPUTS = ("at_low", "at_typical", "at_high", "variance_fraction")
_QUANTILES = ("p10", "p50", "p90")

P_PREFIX = "p "
"""Start of the columns that hold the probability to meet a target: ``p tdp_w <= 150``."""

_DIGITS = "%.9g"


@dataclass(frozen=True)
class RobustRun:
    """Designs of a run under Monte Carlo samples.

    Attributes:
        ids: ids of the designs.
        on_front: whether each is on the run's front; one of the least infeasible otherwise.
        names: picks by id.
        found: what the draws did.
        subject: the design whose inputs are analysed: id and pick name.
        swings: its inputs.
    """

    ids: Sequence[int]
    on_front: Sequence[bool]
    names: Mapping[int, tuple[str, ...]]
    found: Robustness
    subject: tuple[int, str]
    swings: Sequence[Swing]


def designs_frame(run: RobustRun) -> pd.DataFrame:
    """Return the table of ``designs.csv``."""
    import pandas as pd

    result = run.found
    columns: dict[str, object] = {
        "id": list(run.ids),
        "picks": [" ".join(run.names.get(one, ())) for one in run.ids],
        "front": list(run.on_front),
        "p_feasible": result.p_feasible,
        "nondominated_fraction": result.nondominated_fraction,
        **{P_PREFIX + label: share for label, share in result.p_meets.items()},
    }
    for name, typical in result.nominal.items():
        columns[name] = typical
        for place, quantile in enumerate(_QUANTILES):
            columns[f"{name} {quantile}"] = result.quantiles[name][:, place]
    return pd.DataFrame(columns)


def inputs_frame(swings: Sequence[Swing]) -> pd.DataFrame:
    """Return the table of ``inputs.csv``."""
    import pandas as pd

    rows = [
        {
            "metric": swing.metric,
            "input": swing.input.name,
            "at_low": swing.at_low,
            "at_typical": swing.at_typ,
            "at_high": swing.at_high,
            "variance_fraction": swing.variance_fraction,
            "variance_fraction_with_interactions": swing.total_fraction,
            "confidence": swing.input.confidence,
            "parameters": " ".join(swing.input.paths),
        }
        for swing in swings
    ]
    return pd.DataFrame(rows)


def parameters_frame(found: Robustness) -> pd.DataFrame:
    """Return the table of ``parameters.csv``."""
    import pandas as pd

    rows = [
        {
            "parameter": spread.path,
            "unit": spread.unit,
            "low": spread.low,
            "typical": spread.typ,
            "high": spread.high,
            "shape": "log-triangular" if spread.log else "triangular",
            "shared_factor": spread.factor or "",
            "correlation": spread.correlation if spread.factor else np.nan,
            "confidence": spread.confidence,
        }
        for spread in found.spreads
    ]
    return pd.DataFrame(rows)


def drawn_facts(spec: Spec, run: RobustRun | None) -> dict[str, Any]:
    """Return what the manifest says of Monte Carlo samples: nothing where there were none."""
    if run is None:
        return {}
    facts: dict[str, Any] = {"draws": run.found.draws, "seed": run.found.seed, "designs": len(run.ids)}
    if spec.probabilities:
        facts["front"] = int(sum(run.on_front))
    return {"robustness": facts}


def write_robust(directory: Path, run: RobustRun) -> list[Path]:
    """Write the tables into ``robust/`` of a run directory, over those of earlier draws, and return the files."""
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    tables = {DESIGNS: designs_frame(run), INPUTS: inputs_frame(run.swings), PARAMETERS: parameters_frame(run.found)}
    for name, table in tables.items():
        with replacing(folder / name) as file:
            table.to_csv(file, index=False, float_format=_DIGITS, lineterminator="\n", encoding="utf-8")
    design, pick = run.subject
    record = {"draws": run.found.draws, "seed": run.found.seed, "inputs_of": {"id": design, "pick": pick}}
    with replacing(folder / DRAWS) as file:
        write_json(file, record)
    return [folder / name for name in FILES]


def has_draws(run: StoredRun) -> bool:
    """Return whether Monte Carlo samples have left their tables in a run directory."""
    return (run.path / FOLDER / DRAWS).is_file()


def read_robust(run: StoredRun) -> tuple[pd.DataFrame, pd.DataFrame, Record]:
    """Return the tables of designs and inputs, and the record of the draws.

    Raises:
        RunError: one of them is missing, damaged, or not what it must be.
    """
    import pandas as pd

    # Read anew: the samples may have been drawn after the run was opened.
    manifest, remedy = read_manifest(run.path), f"draw again: dse robust {run.path}"
    files = {name: checked(run.path, f"{FOLDER}/{name}", manifest, remedy) for name in FILES}
    try:
        designs, inputs = (pd.read_csv(files[name]) for name in (DESIGNS, INPUTS))
        record = Record(read_json(files[DRAWS]), str(files[DRAWS]))
        record.whole("draws")
        subject = record.part("inputs_of")
        subject.whole("id"), subject.text("pick")
        drawn = [f"{one.metric} {quantile}" for one in run.spec.objectives for quantile in _QUANTILES]
        holding(designs, files[DESIGNS], (*_OF_DESIGNS, *drawn), ("picks", "front"))
        holding(inputs, files[INPUTS], _OF_INPUTS, ("metric", "input", "confidence"))
    except (OSError, ValueError, RunError) as error:
        raise RunError(f"{run.path / FOLDER}: is damaged ({error}); {remedy}") from None
    return designs, inputs, record

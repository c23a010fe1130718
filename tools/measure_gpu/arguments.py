"""Command line of the measurement, and what must hold before anything is measured."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("stream", "launch", "gemm", "weight_only", "sparse", "attention", "transformer", "power")
"""What can be measured, in the order in which it is."""

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Arguments:
    """What was asked for.

    Attributes:
        out: folder of the rows.
        device: "cuda" (ROCm as well) or "cpu".
        tiny: small shapes instead of those of real models.
        sections: what is measured.
        models: library models whose layers are measured; the default ones where empty.
        minutes: time budget; infinite where none is set.
        point_s: seconds that one row is repeated for.
        power_s: seconds of steady state for one reading of power.
        seed: of weights and inputs.
        skip: patterns of row ids that are left out.
        planned: print what would be measured and stop.
    """

    out: Path
    device: str
    tiny: bool
    sections: tuple[str, ...]
    models: tuple[str, ...]
    minutes: float
    point_s: float
    power_s: float
    seed: int
    skip: tuple[str, ...]
    planned: bool


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="measure.py", description="Measure decode and its kernels on one GPU; rows for dse validate."
    )
    parser.add_argument("--out", type=Path, help="folder of the rows; a new temporary one on a CPU")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a check of the script")
    parser.add_argument("--tiny", action="store_true", help="small shapes")
    parser.add_argument("--only", type=_names, default=SECTIONS, metavar="A,B", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--models", type=_names, default=(), metavar="A,B", help="library models to take layers from")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no row after this time")
    parser.add_argument("--point-seconds", type=float, default=0.2, help="repeat one row for this long")
    parser.add_argument("--power-seconds", type=float, default=8.0, help="steady state of one reading of power")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--skip", action="append", default=[], metavar="PATTERN", help="leave rows out by id, like gemm*"
    )
    parser.add_argument("--list", action="store_true", dest="planned", help="print the rows that would be measured")
    return parser


def parse(words: Sequence[str]) -> Arguments:
    """Return the arguments; exits with every issue at once where they do not hold."""
    parser = _parser()
    given = parser.parse_args(words)
    issues = [f"--only: {name!r} is not one of {', '.join(SECTIONS)}" for name in given.only if name not in SECTIONS]
    for name in ("minutes", "point_seconds", "power_seconds"):
        if not getattr(given, name) > 0:
            issues.append(f"--{name.replace('_', '-')} must be above 0, got {getattr(given, name)}")
    out = given.out
    if given.device == "cpu":
        out = out or Path(tempfile.mkdtemp(prefix="cpu_check_"))
        temporary = Path(tempfile.gettempdir()).resolve()
        if not out.resolve().is_relative_to(temporary) or out.resolve().is_relative_to(REPOSITORY):
            where = f"below {temporary} and out of the repository"
            issues.append(f"--out: rows of a CPU only check the script and stay {where}, got {out}")
    elif out is None:
        issues.append("--out: a folder for the rows is needed")
    if issues:
        parser.error("; ".join(issues))
    return Arguments(
        out, given.device, given.tiny, tuple(s for s in SECTIONS if s in given.only), given.models, given.minutes,
        given.point_seconds, given.power_seconds, given.seed, tuple(given.skip), given.planned,
    )  # fmt: skip

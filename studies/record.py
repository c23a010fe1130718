"""What a study is made of: a sweep that runs, and sections of text whose every number is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from cost_models.library import shipped_library
from dse.analysis.audit.reader import load_claims
from dse.analysis.audit.records import ClaimsFile
from dse.analysis.audit.verdicts import ClaimChecker, ClaimResult
from dse.evaluator import Evaluator
from dse.render.plots.lines import LineChart
from dse.render.terminal.tables import TextTable
from dse.results.store import StoredRun
from dse.sweep import Spec


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        text: Markdown made from the numbers.
        numbers: what the text rests on, by name; checked against the code by the tests.
        tables: further tables that are kept as CSV, by file stem.
        figures: lines to draw.
    """

    title: str
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Sequence[LineChart] = ()


@dataclass
class Context:
    """What the sections of a study can draw on.

    Attributes:
        spec: the sweep.
        run: what the sweep found; None where only the sections are rebuilt.
        folder: where the study is written; None where nothing is.
    """

    spec: Spec
    run: StoredRun | None = None
    folder: Path | None = None

    @cached_property
    def evaluator(self) -> Evaluator:
        """The sweep's evaluator."""
        return Evaluator(self.spec)

    @cached_property
    def case(self) -> ClaimsFile:
        """The Mach-1 claims."""
        return load_claims(shipped_library().directory / "claims.yaml")

    @cached_property
    def court(self) -> ClaimChecker:
        """The judge of the Mach-1 claims."""
        return ClaimChecker(self.case)

    def verdicts(self, *keys: str) -> list[ClaimResult]:
        """Return the verdicts on the claims whose keys begin so."""
        from dse.analysis.audit.records import ChipSubject, DesignSubject

        subjects = self.case.subjects
        return [
            self.court.judge(claim)
            for claim in self.case.claims
            if claim.key.startswith(keys) and isinstance(subjects[claim.of], ChipSubject | DesignSubject)
        ]


@dataclass(frozen=True)
class Study:
    """One folder of results.

    Attributes:
        key: name of the folder and of the sweep file.
        title: what it asks.
        sections: what is added to the run of its sweep.
    """

    key: str
    title: str
    sections: Callable[[Context], list[Section]]


def markdown(table: TextTable) -> str:
    """Return a table of the terminal as Markdown."""

    def cell(text: str) -> str:
        return text.replace("\n", "; ").replace("|", "/")

    lines = [[cell(heading.replace("\n", " ")) or " " for heading in table.headings], ["---"] * len(table.headings)]
    lines += [[cell(text) or " " for text in row] for row in table.cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

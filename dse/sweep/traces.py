"""The trace of a workload: a file of requests, read once and kept as what the closed form takes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from cost_models.workload.trace import PERCENTS, Trace, TraceError, read_trace
from dse.errors import NOWHERE, Issue, SpecError
from dse.sweep.fields import issue, validation_context
from dse.sweep.hints import quoted

LENGTHS = ("prompt_tokens", "output_tokens")


class TraceSpec(BaseModel):
    """A trace as a sweep keeps it: where it lies, and its summary.

    Attributes:
        file: path of the file.
        sha256: of the file as it was read.
        requests: how many.
        arrivals_per_s: their mean rate.
        arrival_cv: coefficient of variation of the gaps.
        prompt_tokens: mean prompt.
        prompt_cv: coefficient of variation of prompts.
        output_tokens: mean answer.
        output_cv: coefficient of variation of answers.
        longest_tokens: tokens of the longest request.
        longest_line: its line in the file.
        percentiles: 50th, 95th and 99th of prompts and answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str
    requests: int
    arrivals_per_s: float
    arrival_cv: float
    prompt_tokens: float
    prompt_cv: float
    output_tokens: float
    output_cv: float
    longest_tokens: float
    longest_line: int
    percentiles: dict[str, dict[int, float]]

    @classmethod
    def of(cls, file: Path, trace: Trace) -> TraceSpec:
        """Return the summary of a trace."""
        import numpy as np

        line, longest = trace.longest()
        return cls(
            file=str(file.resolve()),
            sha256=trace.sha256,
            requests=len(trace.arrival_s),
            arrivals_per_s=trace.arrivals_per_s,
            arrival_cv=trace.arrival_cv,
            prompt_tokens=float(trace.prompt_tokens.mean()),
            prompt_cv=trace.cv("prompt_tokens"),
            output_tokens=float(trace.output_tokens.mean()),
            output_cv=trace.cv("output_tokens"),
            longest_tokens=longest,
            longest_line=line,
            percentiles={
                name: {percent: float(np.percentile(getattr(trace, name), percent)) for percent in PERCENTS}
                for name in LENGTHS
            },
        )

    def read(self) -> Trace:
        """Return the requests, for a replay.

        Raises:
            SpecError: the file is gone, or no longer what the sweep was read with.
        """
        try:
            trace = read_trace(Path(self.file))
        except TraceError as error:
            raise SpecError([Issue(NOWHERE, "trace", fault) for fault in error.faults]) from None
        if trace.sha256 != self.sha256:
            raise SpecError([Issue(NOWHERE, "trace", f"{self.file} is not what it was when the sweep was read")])
        return trace


def _trace(value: Any, info: ValidationInfo) -> Any:
    """Read the file that a text names, from the folder of the sweep."""
    if isinstance(value, dict | TraceSpec):
        return value
    if not isinstance(value, str):
        raise issue(quoted(value), "a CSV file with arrival_s, prompt_tokens and output_tokens")
    file = validation_context(info).folder / value
    try:
        return TraceSpec.of(file, read_trace(file))
    except TraceError as error:
        raise issue("; ".join(error.faults)) from None


TraceFile: TypeAlias = Annotated[TraceSpec, BeforeValidator(_trace)]

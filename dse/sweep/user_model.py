"""What a sweep says of a user-defined model.

model: my_module:function
model: {command: [python3, simulator.py], batch: 50, timeout_s: 60, metrics: {noise_db: dB}}
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Metric
from dse.sweep.fields import Flag, MetricName, Text, Whole, issue, number, validation_context, word_of
from dse.sweep.hints import quoted
from dse.units import unit_of_name

BUILT_IN = ("baselines", "mix", "economics", "technology")
"""Sections that only the built-in evaluation heeds."""

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class UserMetric(BaseModel):
    """A metric that the model returns.

    Attributes:
        unit: its unit; told by the last word of its name where not given.
        meaning: what it is, in a line.
        better: `min` or `max` where less or more is better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Text | None = None
    meaning: Text = "from the sweep's own model"
    better: Annotated[str, word_of(("min", "max"))] | None = None


def _target(value: object) -> str:
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise issue(quoted(value), "a function, written module:function", "my_module:simulate")
    return value


def _command(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list | tuple) else ()
    if not words or not all(isinstance(word, str) and word for word in words):
        raise issue(quoted(value), "a program and its arguments as a list of words", "[python3, simulator.py]")
    return tuple(words)


def _metrics(value: object) -> object:
    if not isinstance(value, Mapping) or not value:
        raise issue(quoted(value), "a mapping from each metric of the model to its unit", "{noise_db: dB}")
    return {name: {"unit": said} if isinstance(said, str) else said for name, said in value.items()}


class ModelSpec(BaseModel):
    """A model of your own: a Python function or a command.

    Attributes:
        function: `module:function`, found in the folder of the sweep or on Python's path. It gets a mapping of
            parameters (and `inputs`) and returns a mapping of metrics; with `batch` it gets and returns lists of them.
        command: a program with its arguments, started in the folder of the sweep for every call: one JSON object per
            line and design on its standard input, one per line on its standard output.
        metrics: the metrics that it returns, each with its unit or with `unit`, `meaning` and `better`. A built-in one
            (`tdp_w`, `chat.tpot_ms`) is replaced by the model's. Where not given: whatever objectives and
            constraints name that is not built in.
        inputs: built-in metrics that the model gets beside the parameters.
        batch: designs of one call; one, as a mapping and not in a list, where not given.
        timeout_s: seconds that a call may take; without end where not given.
        retries: how often a call that fails is made again. A batch that still fails is halved until the designs at
            issue are alone.
        replace: whether the built-in evaluation is left out altogether: no metrics but the model's, no physical limits.
        folder: where the function or the command is looked for; that of the sweep file where not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    function: Annotated[str, BeforeValidator(_target)] | None = None
    command: Annotated[tuple[str, ...], BeforeValidator(_command)] | None = None
    metrics: Annotated[Mapping[str, UserMetric], BeforeValidator(_metrics)] = Field(default_factory=dict)
    inputs: tuple[MetricName, ...] = ()
    batch: Whole | None = None
    timeout_s: Annotated[float, number(low=0, open_low=True)] | None = None
    retries: Annotated[int, number(low=0, high=100, whole=True)] = 0
    replace: Flag = False
    folder: Text = "."

    @field_validator("metrics", mode="after")
    @classmethod
    def _named_well(cls, metrics: Mapping[str, UserMetric], info: ValidationInfo) -> Mapping[str, UserMetric]:
        for name, metric in metrics.items():
            check_user_metric_name(name, metric.unit, validation_context(info).metrics)
        return metrics

    @model_validator(mode="after")
    def _says_what_to_do(self) -> ModelSpec:
        if (self.function is None) == (self.command is None):
            said = "both given" if self.function else "both missing"
            raise issue(f"function and command are {said}; a model is one of them")
        if self.replace and self.inputs:
            raise issue("inputs are metrics of the built-in evaluation, which replace: true leaves out")
        return self

    @property
    def described(self) -> dict[str, Metric]:
        """Those of its metrics that are not built in, by name."""
        return {
            name: metric_entry(name, said)
            for name, said in self.metrics.items()
            if name.rpartition(".")[2] not in METRICS
        }

    @property
    def words(self) -> str:
        """What is called."""
        return self.function or " ".join(self.command or ())


def check_user_metric_name(name: Any, unit: str | None, known: tuple[str, ...]) -> None:
    """Refuse a name that a model's metric cannot have."""
    builtin = METRICS.get(str(name).rpartition(".")[2])
    if name in known and builtin is not None:
        if unit is not None and unit != builtin.unit:
            raise issue(f"{name} in {quoted(unit)}", f"in {builtin.unit or 'no unit'}, as the built-in metric")
        return
    if builtin is not None:
        raise issue(f"the name {quoted(name)}", "free: it is a metric of workloads", f"WORKLOAD.{name}")
    if not isinstance(name, str) or not name.isidentifier() or name in PARAMETERS or name in RESERVED:
        raise issue(f"the name {quoted(name)}", "letters, digits and _, and not a built-in name")


RESERVED = ("id", "feasible", "violation", "pareto", "sampled", "failed")
"""Columns of the table of designs."""


def metric_entry(name: str, said: UserMetric) -> Metric:
    """Return the metric that a sweep declares."""
    unit = said.unit if said.unit is not None else unit_of_name(name)
    better: Any = said.better
    return Metric(name, unit, said.meaning, better, "model", low=-math.inf)

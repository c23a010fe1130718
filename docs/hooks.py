"""Pages that are made from the program itself, so that they cannot fall behind it; run by MkDocs as a hook."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cost_models.library import shipped_library
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.records import Metric, Parameter
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.sweep.chips import BaselineSpec, ChipsSpec, DeploymentSpec
from dse.sweep.goals import ConstraintSpec, ObjectiveSpec
from dse.sweep.parameters import FixedSpec, RangeSpec, ValuesSpec
from dse.sweep.records import EconomicsSpec, LibraryParameterSpec, ResultsSpec, RobustnessSpec
from dse.sweep.schema import sweep_schema
from dse.sweep.search import ChainOptions, EvolveOptions, GridOptions, OptunaOptions, SearchSpec
from dse.sweep.user_model import ModelSpec, UserMetric
from dse.sweep.workloads import SessionsSpec, SpeculationSpec, WorkloadSpec

RECORDS: Mapping[str, tuple[type, ...]] = {
    "workloads": (WorkloadSpec, SpeculationSpec, SessionsSpec),
    "space": (FixedSpec, ValuesSpec, RangeSpec),
    "economics": (EconomicsSpec,),
    "technology": (LibraryParameterSpec,),
    "objectives": (ObjectiveSpec,),
    "constraints": (ConstraintSpec,),
    "baselines": (BaselineSpec,),
    "deployment": (DeploymentSpec, ChipsSpec),
    "search": (SearchSpec, GridOptions, EvolveOptions, OptunaOptions, ChainOptions),
    "results": (ResultsSpec,),
    "robustness": (RobustnessSpec,),
    "model": (ModelSpec, UserMetric),
}
"""Records behind the sections of a sweep file."""

SECTION_WORDS: Mapping[str, str] = {
    "name": "Name of the sweep: letters, digits, `_` or `-`. Results go to `results/<name>/`.",
    "extends": "Another sweep file, beside this one, that this one is merged over: mappings key by key, lists and "
    "values replaced, `null` removes a key.",
    "workloads": "What the chip must run: a mapping from a name of yours to a model and how it is used.",
    "mix": "Shares of the output tokens that the workloads have in the traffic; its metrics are `mix.METRIC`.",
    "space": "What may vary: a parameter to a bare value, `{values: [...]}`, `{low, high, ...}`, or a list of these "
    "under conditions (`when`). What is left out has its default.",
    "economics": "Business terms behind prices.",
    "technology": "Parameters of the library that are replaced, by dotted path (`dse library list parameters`).",
    "objectives": "What the front trades: at least one metric with a direction.",
    "constraints": "What must hold: `max`, `min`, or `near` and `within`; a bound may carry a unit or be a multiple of "
    "a baseline's value (`relative_to`).",
    "baselines": "Chips of the library that serve the same workloads by the same equations.",
    "deployment": "Which chips prefill and which decode, where they are not the same; what is left out is the design.",
    "search": "How the space is searched. `+` chains samplers: `sobol+evolve`.",
    "results": "What a run keeps.",
    "robustness": "Monte Carlo samples of the ranged parameters after the search, where the section is given.",
    "model": "A model of your own beside the built-in evaluation, or in its place; `module:function` for short.",
    "library": "What is added to the library: a directory, entries, or a list of them.",
}


def sweep_page() -> str:
    """Return the reference of the sweep file: every section of the schema with the fields of its records."""
    lines = [
        "# Sweep file", "",
        "One YAML file describes a sweep. Every issue of a file is told at once, with file, line and column. "
        "Numbers may carry units (`40 ms`, `1.2 TB/s`, `$250`). `dse check --schema` prints the JSON Schema with which "
        "editors complete and check it.", "",
    ]  # fmt: skip
    for section in sweep_schema(shipped_library())["properties"]:
        lines += [f"## `{section}`", "", SECTION_WORDS[section], ""]
        for record in RECORDS.get(section, ()):
            lines += _record_lines(record)
    return "\n".join(lines)


def _record_lines(record: type[Any]) -> list[str]:
    """Return a table of the fields of a record, with the words of its docstring."""
    words = {name: text for one in reversed(record.__mro__) for name, text in _attributes(one.__doc__ or "").items()}
    fields = {name: field for name, field in record.model_fields.items()}
    if not fields:
        return []
    first = (record.__doc__ or "").splitlines()[0]
    lines = [f"*{first}*", "", "| key | default | meaning |", "| --- | --- | --- |"]
    for name, field in fields.items():
        default = "required" if field.is_required() else _default_text(field.get_default(call_default_factory=True))
        described = words.get(name) or _meaning(name)
        lines.append(f"| `{name}` | {default} | {described} |")
    return [*lines, ""]


def _default_text(value: object) -> str:
    return "" if value is None or value == {} else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(name: str) -> str:
    entry = WORKLOAD_FIELDS.get(name) or PARAMETERS.get(name)
    known = {
        "metric": "a metric of this sweep", "direction": "`minimize` or `maximize`", "value": "the one value",
        "values": "the values", "typ": "the value", "low": "lower end of its range", "high": "upper end of its range",
        "units": "chips to be sold", "margin": "share of the price that is margin",
        "nre_share": "share of the NRE that this chip carries", "krw_per_usd": "exchange rate",
        "price_year": "year of the prices of LPDDR, DDR and GDDR, 2023 to 2026",
        "yield_model": "`murphy`, `poisson`, `seeds` or as the library names it", "when": "conditions",
    }  # fmt: skip
    return entry.meaning if entry else known.get(name, "")


def _attributes(docstring: str) -> dict[str, str]:
    """Return what the Attributes of a docstring say, by name."""
    result: dict[str, str] = {}
    name, inside = "", False
    for line in docstring.splitlines():
        text = line.strip()
        if text in ("Attributes:", "Args:"):
            inside = True
        elif inside and text and not text.startswith(tuple("`*-")) and ": " in text and line.startswith("        "):
            indent = len(line) - len(line.lstrip())
            if indent == 8:
                name, _, said = text.partition(": ")
                result[name] = said
            elif name:
                result[name] += f" {text}"
        elif inside and name and text:
            result[name] += f" {text}"
    return result


def quantities_page() -> str:
    """Return the reference of parameters, fields of workloads, and metrics."""
    lines = ["# Parameters and metrics", "", "## Parameters of a design", ""]
    lines += _parameter_lines(PARAMETERS)
    lines += ["", "## Fields of a workload", "", "Numbers may vary too, as `workload.field` in `space`.", ""]
    lines += _parameter_lines(WORKLOAD_FIELDS)
    titles = {
        "design": "Metrics of a design",
        "workload": "Metrics of a workload (`workload.metric`)",
        "draws": "Metrics of Monte Carlo samples",
    }
    for scope in dict.fromkeys(metric.scope for metric in METRICS.values()):
        title = titles.get(scope, f"Metrics of a {scope}")
        lines += ["", f"## {title}", "", "| name | unit | better | meaning |", "| --- | --- | --- | --- |"]
        lines += [_metric_line(metric) for metric in METRICS.values() if metric.scope == scope]
    return "\n".join([*lines, ""])


def _parameter_lines(parameters: Mapping[str, Parameter]) -> list[str]:
    lines = ["| name | unit | default | values | meaning |", "| --- | --- | --- | --- | --- |"]
    for one in parameters.values():
        values = f"library: {one.section}" if one.section else ", ".join(one.names) or _bounds(one)
        default = "the library's" if one.default is None else f"`{one.default}`"
        lines.append(f"| `{one.name}` | {one.unit} | {default} | {values} | {one.meaning} |")
    return lines


def _bounds(parameter: Parameter) -> str:
    kind = "whole " if parameter.integer else ""
    low = f"{'>' if parameter.open_low else '≥'} {parameter.low:g}"
    return f"{kind}{low}" + (f", ≤ {parameter.high:g}" if parameter.high < float("inf") else "")


def _metric_line(metric: Metric) -> str:
    better = {"min": "less", "max": "more", None: ""}[metric.better]
    return f"| `{metric.name}` | {metric.unit} | {better} | {metric.meaning} |"


def commands_page() -> str:
    """Return the help of every command, in the groups of `dse --help`."""
    import typer

    from dse.cli import GROUPS, app

    root: Any = typer.main.get_command(app)
    lines = ["# Command line", "", f"{root.help}", ""]
    for group, summaries in GROUPS.items():
        lines += [f"## {group}", ""]
        for name, command in _commands({one: root.commands[one] for one in summaries}, "dse"):
            context = command.make_context(name, [], resilient_parsing=True)
            lines += [f"### `{name}`", "", "```text", command.get_help(context).strip(), "```", ""]
    lines += [
        "## Exit status", "", "| status | meaning |", "| --- | --- |",
        "| 0 | feasible designs were found, or nothing was searched |",
        "| 3 | no design is feasible; results and the explanation are written |",
        "| 2 | bad input; nothing is written |",
        "| 130 | interrupted; what was found so far is written |",
        "| 1 | internal error (please report); `DSE_TRACEBACK=1` shows where |", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _commands(commands: Mapping[str, Any], path: str) -> Iterable[tuple[str, Any]]:
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command.commands, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ROOMS = (
    "cost_models/workload/operators", "cost_models/workload/param_count", "cost_models/workload/serving",
    "cost_models/performance/roofline", "cost_models/performance/phases", "cost_models/performance/inference",
    "cost_models/performance/serving_stack", "cost_models/performance/interconnect", "cost_models/silicon/memory",
    "cost_models/silicon/compute", "cost_models/weights/compression", "dse/weight_codes/coding",
    "cost_models/weights/quality", "cost_models/silicon/area", "cost_models/silicon/power",
    "cost_models/performance/energy", "cost_models/silicon/cost", "cost_models/silicon/defaults",
    "cost_models/silicon/stages/clocking", "cost_models/silicon/stages/logic", "cost_models/silicon/stages/floorplan",
    "cost_models/silicon/stages/supply", "cost_models/silicon/stages/price", "cost_models/silicon/design",
    "cost_models/silicon/chip", "cost_models/silicon/machine", "cost_models/performance/metrics",
    "cost_models/library/technology",
)  # fmt: skip
"""Modules of the models, in the order of a calculation."""


def equations_page() -> str:
    """Return what every model says of itself: its module, and its public functions with their equations and sources."""
    root = Path(__file__).parents[1]
    lines = [
        "# Equations and sources", "",
        "Taken from the models themselves. Every parameter that an equation reads stands in the library with its "
        "range, "
        "source and confidence: `dse library list parameters`, `dse library parameter memory.lpddr5x`.", "",
    ]  # fmt: skip
    for room in ROOMS:
        tree = ast.parse((root / f"{room}.py").read_text(encoding="utf-8"))
        lines += [f"## {room}", "", _prose(ast.get_docstring(tree) or ""), ""]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and _is_told(node):
                lines += [f"**`{node.name}`** — {_prose(ast.get_docstring(node) or '')}", ""]
    return "\n".join(lines)


def _is_told(function: ast.FunctionDef) -> bool:
    """Return whether a function stands on the page: public, or with an equation of somebody (a year) behind it."""
    docstring = ast.get_docstring(function) or ""
    return not function.name.startswith("_") or bool(re.search(r"\b(?:19|20)\d\d\b|arXiv", docstring))


def _prose(docstring: str) -> str:
    """Return the part of a docstring before its sections, with code marks as Markdown has them."""
    kept = []
    for line in docstring.splitlines():
        if line.strip() in ("Args:", "Attributes:", "Returns:", "Raises:"):
            break
        kept.append(line)
    text = "\n".join(kept).strip().replace("``", "`").replace("<", "&lt;")
    return text.replace("*", "\\*").replace("_", "\\_") if "`" not in text else text


PAGES = {
    "reference/sweep.md": sweep_page,
    "reference/quantities.md": quantities_page,
    "reference/commands.md": commands_page,
    "reference/equations.md": equations_page,
}
"""Generated pages by their place."""


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages; called by MkDocs."""
    from mkdocs.structure.files import File

    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    return files

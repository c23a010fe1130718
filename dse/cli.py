"""The command line: verbs, options and exit status. What a verb does is in `dse.verbs`, imported when it is called.

Exit status: 0 feasible designs found (or nothing was searched), 3 none feasible, 2 bad input, 130 interrupted,
1 a defect of this program.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cost_models.errors import LibraryError
from dse.errors import DseError

OK, DEFECT, BAD_INPUT, NONE_FEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130

TRACEBACK = "DSE_TRACEBACK"
"""Environment variable that shows the traceback of a defect."""


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    csv = "csv"


class _Verbs(TyperGroup):
    """Turns what a user can put right into a line on standard error and exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (DseError, LibraryError) as error:
            print(error, file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


class Backend(StrEnum):
    """What does the work in parallel."""

    loky = "loky"
    dask = "dask"


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Which chip, if any, runs these models at this speed, within this power, area and price?\n\n"
    "Example: dse new mychip, then dse run mychip.yaml\n\n"
    "Exit status: 0 feasible designs were found or nothing was searched, 3 none is feasible, 2 bad input, "
    "130 interrupted, 1 a defect of this program.",
)
library_app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="List and show the cited data: chips, models, nodes, memories, formats, stacks, figures.\n\n"
    "Example: dse library show a100_80gb_sxm",
)
app.add_typer(library_app, name="library")

Sweep = Annotated[Path, typer.Argument(metavar="SPEC", help="sweep file", show_default=False)]
Stored = Annotated[str, typer.Argument(metavar="RUN", help="run directory, results/NAME for its newest run, or latest")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="replace a key of the sweep; repeatable")]
As = Annotated[Format, typer.Option("--format", help="how to print")]
Added = Annotated[
    list[Path] | None,
    typer.Option(
        "--library", metavar="DIR", help="directory of entries to add to the library, or a sweep that adds; repeatable"
    ),
]
NoPlots = Annotated[bool, typer.Option("--no-plots", help="draw no figures")]
NoReport = Annotated[bool, typer.Option("--no-report", help="write no report.html")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", metavar="N", help="processes; 0 for one per core", min=0)]
On = Annotated[Backend, typer.Option("--backend", help="processes of this machine, or the workers of a Dask scheduler")]
At = Annotated[
    str, typer.Option("--scheduler", metavar="ADDRESS", help="of the Dask scheduler; local processes where not given")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print no progress and no report")]


def _hush(context: typer.Context, quiet: bool) -> bool:
    """Let a verb print nothing on standard output."""
    if quiet:
        context.with_resource(redirect_stdout(io.StringIO()))
    return quiet


Hushed = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_hush, help="print nothing but faults; the exit status tells")
]


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the sweep and of its file")],
    quiet: Hushed = False,
) -> None:
    """Write a commented sweep file to start from.

    Example: dse new mychip
    """
    from dse.verbs.new import write_sweep

    write_sweep(name)


@app.command()
def run(
    spec: Sweep,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="run directory to make")] = None,
    n_designs: Annotated[int | None, typer.Option(metavar="N", help="designs to evaluate")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="seed of the search")] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="where a sampler of Optuna's keeps its study; in memory by default"),
    ] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="name of that study; that of the sweep")] = None,
    join: Annotated[bool, typer.Option("--join", help="share the study with other processes")] = False,
    overrides: Set = None,
    library: Added = None,
    quiet: Quiet = False,
    output: As = Format.table,
    no_plots: NoPlots = False,
    no_report: NoReport = False,
    jobs: Jobs = 1,
    backend: On = Backend.loky,
    scheduler: At = "",
) -> None:
    """Search the space of a sweep and report what was found.

    Example: dse run sweeps/mach1.yaml --seed 1 --set search.n_designs=500_000

    Example: dse run sweeps/mach1.yaml --set search.sampler=tpe --n-designs 200 --storage sqlite:///mach1.db --join
    """
    from dse.verbs.run import run_sweep

    arguments = list(overrides or [])
    arguments += [f"search.n_designs={n_designs}"] if n_designs is not None else []
    arguments += [f"search.seed={seed}"] if seed is not None else []
    arguments += [f'search.storage="{storage}"'] if storage is not None else []
    arguments += [f"search.study={study}"] if study is not None else []
    arguments += ["search.join=true"] if join else []
    done = run_sweep(
        spec, arguments, out=out, quiet=quiet, output=output.value, plots=not no_plots, html=not no_report,
        library=library or [], spread=(jobs, backend.value, scheduler),
    )  # fmt: skip
    if done.manifest["status"] == "interrupted":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(OK if done.found_feasible else NONE_FEASIBLE)


@app.command()
def resume(
    run: Stored = "latest",
    n_designs: Annotated[
        int | None, typer.Option(metavar="N", help="budget to continue a finished run to", min=1)
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="directory of a continued run")] = None,
    quiet: Quiet = False,
    output: As = Format.table,
    no_plots: NoPlots = False,
    no_report: NoReport = False,
    jobs: Jobs = 1,
    backend: On = Backend.loky,
    scheduler: At = "",
) -> None:
    """Go on with a run that was ended, to the result it would have had; or continue one to a larger budget.

    Example: dse resume latest

    Example: dse resume results/mach1 --n-designs 8000000
    """
    from dse.verbs.run import resume_run

    spread = jobs, backend.value, scheduler
    shown = {"output": output.value, "plots": not no_plots, "html": not no_report}
    done = resume_run(run, n_designs=n_designs, out=out, spread=spread, quiet=quiet, **shown)
    raise typer.Exit(OK if done.found_feasible else NONE_FEASIBLE)


@app.command()
def merge(
    runs: Annotated[list[str], typer.Argument(metavar="RUN RUN ...", help="finished runs of one sweep")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="run directory to make")] = None,
    output: As = Format.table,
    no_plots: NoPlots = False,
    no_report: NoReport = False,
    quiet: Hushed = False,
) -> None:
    """Put what several runs of one sweep have found into one: other seeds, other samplers.

    Example: dse merge results/mach1/20260101T000000Z-aaaaaaaa results/mach1/20260102T000000Z-bbbbbbbb
    """
    from dse.verbs.run import merge_runs

    done = merge_runs(runs, out=out, output=output.value, plots=not no_plots, html=not no_report)
    raise typer.Exit(OK if done.found_feasible else NONE_FEASIBLE)


@app.command()
def export(
    storage: Annotated[
        str, typer.Option(metavar="URL", help="journal:FILE, sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE")
    ],
    run: Stored = "latest",
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="name of the study; that of the sweep and the run")
    ] = None,
    designs: Annotated[
        int, typer.Option(metavar="N", help="designs to write: the front, and the rest evenly", min=1)
    ] = 10_000,
    every_metric: Annotated[bool, typer.Option("--every-metric", help="all metrics as attributes")] = False,
    quiet: Hushed = False,
) -> None:
    """Write the designs of a run to a study of Optuna's, for optuna-dashboard and optuna.visualization.

    Example: dse export results/mach1 --storage sqlite:///mach1.db
    """
    from dse.verbs.export import export_run

    export_run(run, storage=storage, study=study, at_most=designs, every_metric=every_metric)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN", help="run directory")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="another")],
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Say how two runs differ: sweep, library, versions, counts and front.

    Example: dse diff results/mach1/20260101T000000Z-aaaaaaaa latest
    """
    from dse.verbs.diff import diff_runs

    diff_runs(first, second, output=output.value)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="file to write; printed where not given")] = None,
    library: Added = None,
    quiet: Hushed = False,
) -> None:
    """Print the JSON Schema of sweep files, for editors.

    Example: dse schema --out sweep.schema.json
    """
    from dse.verbs.schema import print_schema

    print_schema(out, library or [])


@app.command()
def check(
    spec: Sweep,
    overrides: Set = None,
    library: Added = None,
    output: As = Format.table,
    quiet: Quiet = False,
) -> None:
    """Validate a sweep and evaluate one design of it; write nothing.

    Example: dse check sweeps/mach1.yaml
    """
    from dse.verbs.check import check_sweep

    check_sweep(spec, list(overrides or []), output=output.value, quiet=quiet, library=library or [])


@app.command()
def show(
    run: Stored = "latest",
    top: Annotated[int | None, typer.Option(metavar="N", help="rows of the front to show", min=1)] = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Show what a run found: picks, front, what binds, what survives.

    Example: dse show results/mach1 --top 20
    """
    from dse.verbs.show import show_run

    raise typer.Exit(OK if show_run(run, top=top, output=output.value).found_feasible else NONE_FEASIBLE)


@app.command()
def plot(
    run: Stored = "latest",
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="which figures; all where not given; repeatable")
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", metavar="FORMAT", help="png, svg or pdf; repeatable")
    ] = None,
    quiet: Hushed = False,
) -> None:
    """Draw the figures of a run into its plots/ folder.

    Example: dse plot results/mach1 --kind pareto --format svg
    """
    from dse.verbs.plot import plot_figures

    plot_figures(run, kinds or [], formats or [])


@app.command()
def report(
    run: Stored = "latest",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="where to write; report.html of the run where not given")
    ] = None,
    points: Annotated[
        int, typer.Option(metavar="N", help="designs that the page shows at most", min=1, max=200_000)
    ] = 50_000,
    quiet: Hushed = False,
) -> None:
    """Write the report of a run: one HTML file, offline.

    Example: dse report results/mach1 --out mach1.html
    """
    from dse.verbs.report import report_run

    report_run(run, out=out, points=points)


@app.command()
def compare(
    run: Stored = "latest",
    baselines: Annotated[
        list[str] | None,
        typer.Option("--baseline", metavar="CHIPS", help="further chips, like '8x h200_sxm weight_format=fp8'"),
    ] = None,
    library: Added = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Compare the picks of a run with baselines, by the same equations.

    Example: dse compare results/mach1 --baseline "8x h200_sxm weight_format=fp8 kv_bits=8"

    Example: dse compare results/mach1 --library my_chips/ --baseline "2x my_chip"
    """
    from dse.verbs.compare import compare_picks

    compare_picks(run, baselines or [], output=output.value, library=library or [])


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="run, DESIGN.yaml, or chips like '2x a100_80gb_sxm'")],
    design: Annotated[
        str | None, typer.Argument(metavar="DESIGN", help="id, pick or baseline of the run; the knee where not given")
    ] = None,
    workloads: Annotated[
        list[str] | None,
        typer.Option("--workload", metavar="WORKLOAD", help="'MODEL batch=32 prompt_tokens=1024 ...'; repeatable"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="KEY=VALUE", help="number format or stack of chips, like weight_format=fp8"),
    ] = None,
    curve: Annotated[
        bool, typer.Option("--curve", help="throughput against speed per user, with the baselines")
    ] = False,
    plot: Annotated[Path | None, typer.Option(metavar="DIR", help="folder to draw the curve into")] = None,
    library: Added = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Explain one design or some chips: time by operator, energy, area, cost and memory.

    Example: dse explain latest knee

    Example: dse explain "2x a100_80gb_sxm" --workload "llama2_70b batch=32"
    """
    from dse.verbs.explain import explain_one, show_curve

    if curve or plot is not None:
        show_curve(what, design, workloads or [], settings or [], output=output.value, plot=plot, library=library or [])
        return
    explain_one(what, design, workloads or [], settings or [], output=output.value, library=library or [])


@app.command()
def validate(
    measurements: Annotated[
        list[Path] | None,
        typer.Option(
            "--measurements", metavar="FILE.csv", help="measurement file; repeatable; all shipped ones by default"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="SCORED.csv", help="scored rows; a folder for several files")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="DIR", help="folder of figures")] = None,
    silicon: Annotated[bool, typer.Option("--silicon", help="area, power and price of real chips instead")] = False,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Hold predictions against published measurements.

    Example: dse validate --out scored --plot pictures

    Example: dse validate --silicon
    """
    if silicon:
        if measurements or out or plot:
            raise typer.BadParameter("--silicon goes with --format only")
        from dse.verbs.validate import validate_silicon

        validate_silicon(output=output.value)
        return
    from dse.verbs.validate import validate as validate_files

    validate_files(measurements or [], out=out, output=output.value, plots=plot)


@app.command()
def robust(
    run: Stored = "latest",
    draws: Annotated[
        int | None, typer.Option(metavar="N", help="joint draws of the ranged figures; the sweep's or 2000", min=2)
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="seed of the draws; the sweep's or 0", min=0)] = None,
    designs: Annotated[
        int | None, typer.Option(metavar="N", help="designs of the front to take; the sweep's or 1000", min=1)
    ] = None,
    pick: Annotated[str | None, typer.Option(metavar="PICK", help="pick whose inputs are analysed; the knee")] = None,
    output: As = Format.table,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="draw no figures")] = False,
    quiet: Hushed = False,
) -> None:
    """Re-evaluate the front of a run under joint draws of every ranged figure: intervals, chances, what moves it.

    Example: dse robust results/mach1 --draws 2000 --seed 0
    """
    from dse.verbs.robust import judge_run

    judge_run(run, draws=draws, seed=seed, at_most=designs, pick=pick, output=output.value, plots=not no_plots)


@app.command()
def require(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="sweep file, DESIGN.yaml or run")],
    design: Annotated[
        str | None, typer.Argument(metavar="DESIGN", help="id or pick of the run; the knee where not given")
    ] = None,
    overrides: Set = None,
    workloads: Annotated[
        list[str] | None,
        typer.Option("--workload", metavar="WORKLOAD", help="of a design file: 'MODEL batch=32 ...'; repeatable"),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="draw what a sweep takes into a PNG, SVG or PDF")
    ] = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Turn targets into the least that meets them: bandwidth, arithmetic, memory, bits; or improve one design.

    Example: dse require sweeps/mach1.yaml

    Example: dse require latest knee
    """
    from dse.verbs.require import require as require_what

    require_what(what, design, overrides or [], workloads or [], output=output.value, plot=plot)


@app.command()
def audit(
    claims: Annotated[
        Path | None, typer.Argument(metavar="CLAIMS", help="claims file; the founding case where not given")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="folder for the page, the tables and the figures")
    ] = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Hold claims against the equations: verdicts on known machines, and what unknown ones could be.

    Example: dse audit

    Example: dse audit my_claims.yaml --out audit
    """
    from dse.verbs.audit import audit_claims

    audit_claims(claims, out=out, output=output.value)


@app.command()
def compress(
    tensor_file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help=".npy or .safetensors; a generated tensor where not given")
    ] = None,
    tensor: Annotated[str | None, typer.Option(metavar="NAME", help="tensor of a file that holds several")] = None,
    shape: Annotated[str | None, typer.Option(metavar="AxB", help="of a generated tensor; 1024x1024")] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(metavar="S", help="share to prune; the zeros of a file, or half of a generated tensor"),
    ] = None,
    rho: Annotated[float, typer.Option(metavar="RHO", help="correlation of a generated mask within blocks")] = 0.0,
    block: Annotated[int, typer.Option(metavar="N", help="weights of such a block", min=1)] = 100,
    bits: Annotated[int, typer.Option(metavar="B", help="bits of a survivor, 2 to 8, or 16 for float16")] = 4,
    group: Annotated[int, typer.Option(metavar="G", help="weights that share a scale, 0 for a row")] = 128,
    pattern: Annotated[str, typer.Option(metavar="N:M", help="of the patterned formats")] = "2:4",
    n_in: Annotated[int, typer.Option("--n-in", metavar="N", help="bits per step of the XOR code")] = 8,
    n_out: Annotated[
        int | None,
        typer.Option("--n-out", metavar="N", help="bits that it yields per step; the most N_in pays for"),
    ] = None,
    shift_registers: Annotated[
        list[int] | None,
        typer.Option(
            metavar="K", help="registers of the XOR code; 0 and 1; repeatable; 2 of 8 bits take 100 times as long as 1"
        ),
    ] = None,
    interleaved: Annotated[bool, typer.Option("--interleaved", help="interleave before the XOR code")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="format to run; all; repeatable")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="seed of tensor and code", min=0)] = 0,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Prune, quantise and store one tensor in every format, read it back, and compare with entropy.

    Example: dse compress layer.safetensors --tensor model.layers.0.mlp.up_proj.weight --sparsity 0.5

    Example: dse compress --shape 512x512 --sparsity 0.9 --rho 0.1 --bits 3
    """
    from dse.verbs.compress import compress_tensor

    compress_tensor(
        tensor_file,
        tensor=tensor,
        shape=shape,
        sparsity=sparsity,
        rho=rho,
        block=block,
        only=only or [],
        pattern=pattern,
        shift_registers=shift_registers or [],
        output=output.value,
        bits=bits,
        group=group,
        n_in=n_in,
        n_out=n_out,
        interleaved=interleaved,
        seed=seed,
    )


@app.command()
def fleet(
    run: Stored = "latest",
    tokens_per_s: Annotated[float | None, typer.Option(metavar="N", help="load to serve", min=0)] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="MONEY", help="for boards, like '10_000_000 USD' or '13_000_000_000 KRW'")
    ] = None,
    krw_per_usd: Annotated[float | None, typer.Option(metavar="N", help="exchange rate; the sweep's", min=1)] = None,
    workload: Annotated[str | None, typer.Option(metavar="NAME", help="what is served; the sweep's first")] = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Show picks and baselines as fleets that serve a load or that a budget buys.

    Example: dse fleet results/mach1 --tokens-per-s 100000

    Example: dse fleet results/mach1 --budget "13_000_000_000 KRW" --krw-per-usd 1340
    """
    from dse.verbs.fleet import show_fleets

    show_fleets(run, workload=workload, tokens_per_s=tokens_per_s, budget=budget, krw=krw_per_usd, output=output.value)


@app.command()
def carry(
    memory: Annotated[
        list[str] | None,
        typer.Option("--memory", metavar="GRADE", help="memory grade; repeatable"),
    ] = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """How much memory bandwidth one die can carry, by its area: sides, package and interposer.

    Example: dse carry --memory lpddr5x_10667 --memory hbm3
    """
    from dse.verbs.carry import show_carried

    show_carried(memory or [], output=output.value)


@library_app.command("list")
def list_entries(
    section: Annotated[str | None, typer.Argument(metavar="SECTION", help="chips, models, nodes, figures, ...")] = None,
    library: Added = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """List the entries of the library, or of one section.

    Example: dse library list chips
    """
    from dse.spec.additions import library_with
    from dse.verbs.library import list_section

    list_section(section, output=output.value, library=library_with(library or []))


@library_app.command("show")
def show_entry(
    name: Annotated[str, typer.Argument(metavar="NAME", help="key of an entry, or its section before it")],
    entry: Annotated[str | None, typer.Argument(metavar="KEY", help="key of an entry after its section")] = None,
    library: Added = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Show everything that the library says of an entry; of a software stack every constant and what it comes from.

    Example: dse library show lpddr5x_9600

    Example: dse library show stack tensorrt_llm
    """
    from dse.spec.additions import library_with
    from dse.verbs.library import show_in_section, show_named

    entries = library_with(library or [])
    if entry is None:
        show_named(name, output=output.value, library=entries)
    else:
        show_in_section(name, entry, output=output.value, library=entries)


@library_app.command("figure")
def show_figure(
    path: Annotated[str, typer.Argument(metavar="PATH", help="dotted path, or its beginning")],
    library: Added = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Show figures with unit, range, source, year and confidence.

    Example: dse library figure nodes.tsmc_5
    """
    from dse.spec.additions import library_with
    from dse.verbs.library import show_figures

    show_figures(path, output=output.value, library=library_with(library or []))


@library_app.command("where")
def show_where(
    path: Annotated[str, typer.Argument(metavar="FIGURE", help="dotted path of a figure")],
    library: Added = None,
    output: As = Format.table,
    quiet: Hushed = False,
) -> None:
    """Show which metrics and limits a figure moves, and how far from the low to the high end of its range.

    Example: dse library where memory.lpddr5x.energy_total_pj_per_bit
    """
    from dse.verbs.library import show_uses

    show_uses(path, output=output.value, library=library or [])


def report_defect(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in short that this program is at fault, and how to see where."""
    if os.environ.get(TRACEBACK):
        sys.__excepthook__(kind, error, traceback)
        return
    print(f"dse: a defect of this program, not of your input: {kind.__name__}: {error}", file=sys.stderr)
    print(f"Set {TRACEBACK}=1 to see where, and please report it with the sweep file.", file=sys.stderr)


def main() -> None:
    """Run the command line and exit."""
    sys.excepthook = report_defect
    typer.main.get_command(app)(prog_name="dse")

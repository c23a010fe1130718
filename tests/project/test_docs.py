"""Everything that README.md and docs/ show is true: commands run, Python runs, sweeps are valid, links lead somewhere.

Blocks of a page run in their order, in one folder with a copy of ``sweeps/``. A block of YAML or JSON whose first line
says ``# file: NAME`` is written there (``, wrong`` behind it: a sweep that must be refused); YAML with sections of a
sweep must be one, or the change of one. A comment ``# exit status N`` behind a command says how it ends. Commands that
install are checked, not run.
"""

import functools
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from cost_models.library import shipped_library
from cost_models.quantities.metrics import METRICS
from cost_models.quantities.parameters import PARAMETERS
from cost_models.quantities.workload_fields import WORKLOAD_FIELDS
from dse.cli import GROUPS
from dse.errors import SpecError
from dse.space import Space
from dse.sweep import load_spec, parse_spec
from dse.sweep.schema import sweep_schema
from tests.cli import call
from tests.dse.cli.test_commands import SERVERS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.docs

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^(?:#|//) file: (\S+?)(, wrong)?\n")
SHOWN = {"text"}
"""Languages of blocks that are output, not input."""


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "sweeps", tmp_path / "sweeps")
    shutil.copytree(ROOT / "cost_models" / "library", tmp_path / "cost_models" / "library")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_true(page, folder):
    names = {}
    for language, content in blocks(page):
        if language == "sh":
            for line in content.replace("\\\n", " ").splitlines():
                command_runs(line)
        elif language == "python":
            exec(compile(content, f"{page.name}", "exec"), names)
        elif language in ("yaml", "json"):
            data_is_valid(content, folder)
        else:
            assert language in SHOWN, f"a block of {language} is not checked"


def command_runs(line):
    expected = int(result[1]) if (result := re.search(r"# exit status (\d+)", line)) else 0
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert all(word in targets for word in words[1:] if "=" not in word), line
        return
    if words[:2] == ["pip", "install"] or words[:4] == ["python", "-m", "pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        named = re.findall(r"\[([\w,]+)\]", line)
        assert all(extra in extras for group in named for extra in group.split(",")), line
        return
    if words[0] in ("python", ".venv/bin/python"):
        assert (ROOT / words[1]).is_file(), line
        return
    assert words[0] in ("dse", ".venv/bin/dse"), f"{line!r} is not a command that is checked"
    if words[1] in SERVERS:
        words[2:] = ["--help"]
    status, out, err = (called_once if words[1] == "choose" else call)(*words[1:])
    assert status == expected, f"{line}\n{out[-800:]}\n{err[-2000:]}"


called_once = functools.cache(call)
"""For what is shown on two pages and works on the library alone."""


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def data_is_valid(content, folder):
    placed = FILE.match(content)
    text = content[placed.end() :] if placed else content
    plain = yaml.safe_load(text)
    if placed:
        path = folder / placed[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if placed[2]:
            with pytest.raises(SpecError):
                load_spec(path)
        return
    if not isinstance(plain, dict) or not set(plain) <= set(sweep_schema(shipped_library())["properties"]):
        assert plain is not None
        return
    if {"name", "search", "objectives"} <= set(plain) or "extends" in plain:
        path = folder / "sweeps" / "shown.yaml"
        path.write_text(text, encoding="utf-8")
        load_spec(path)
    else:
        base = yaml.safe_load((ROOT / "sweeps" / "quickstart.yaml").read_text())
        parse_spec({**base, **plain})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page, hooks):
    made = {ROOT / "docs" / place for place in hooks.PAGES}
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target:
            path = (page.parent / target).resolve()
            assert path.exists() or path in made, f"{page.name}: {target}"


def test_pages_of_reference_hold_everything(hooks):
    quantities = hooks.quantities_page()
    for name in (*PARAMETERS, *WORKLOAD_FIELDS, *METRICS):
        assert f"| `{name}` |" in quantities
    sweep = hooks.sweep_page()
    for section in sweep_schema(shipped_library())["properties"]:
        assert f"## `{section}`" in sweep
    for records in hooks.RECORDS.values():
        for record in records:
            for name in record.model_fields:
                row = next(line for line in sweep.splitlines() if line.startswith(f"| `{name}` |"))
                assert row.rstrip("| ").count("|") >= 2, row


def test_counts_on_pages_are_those_of_the_library():
    library, folder = shipped_library(), ROOT / "cost_models" / "library" / "measurements"
    files = [file for place in (".", "kernels") for file in (folder / place).glob("*.csv") if file.stem != "excluded"]
    perplexities = (folder / "quality" / "quality.csv").read_text().splitlines()[1:]
    floating = [row.split(",") for row in (folder / "quality" / "activations.csv").read_text().splitlines()[1:]]
    floating = [cells[0] for cells in floating if cells[1] == "weights"]
    published = len(perplexities) + sum(len(file.read_text().splitlines()) - 1 for file in files)
    grid = Space(load_spec(ROOT / "sweeps" / "mach1_grid.yaml")).grid_size / 1e6
    at_least = {"parameters": len(library.parameters), "accelerators": len(library.chips),
                "model architectures": len(library.models), "published measurements": published}  # fmt: skip
    readme = " ".join((ROOT / "README.md").read_text().split())
    for what, count in at_least.items():
        (stated,) = re.findall(rf"more than ([0-9,]+) {what}", readme)
        assert int(stated.replace(",", "")) <= count < 1.25 * int(stated.replace(",", "")), what
    exact = (
        ("README.md", r"([0-9.]+) million designs \(`make bench-search`", f"{grid:.1f}"),
        ("docs/how/samplers.md", r"([0-9.]+) million designs", f"{grid:.1f}"),
        ("docs/quality.md", r"([0-9]+) published perplexities", str(len(perplexities))),
        ("docs/quality.md", r"perplexities of ([0-9]+) models", str(len({row.split(",")[0] for row in perplexities}))),
        ("docs/quality.md", r"([0-9]+) rows of [0-9]+ models, in `activations", str(len(floating))),
        ("docs/quality.md", r"[0-9]+ rows of ([0-9]+) models, in `activations", str(len(set(floating)))),
    )
    for page, pattern, count in exact:
        found = re.findall(pattern, " ".join((ROOT / page).read_text().split()))
        assert found[:1] == [count], f"{page}: {pattern} must be {count}"


def test_the_reference_of_commands_has_every_verb(hooks):
    page = hooks.commands_page()
    commands = {command for group in GROUPS.values() for command in group} - {"library"}
    for command in (*commands, "library show"):
        assert f"### `dse {command}`" in page
    assert page.count("Example:") > len(commands)


def test_equations_show_their_origin(hooks):
    page = hooks.equations_page()
    for room in hooks.ROOMS:
        assert f"\n## {room}\n" in page
    for source in ("Williams", "Hong and Kung", "arXiv"):
        assert source in page


def test_the_site_builds(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, env={**environment(), "NO_MKDOCS_2_WARNING": "true"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "site" / "reference" / "equations" / "index.html").is_file()


def test_the_notebook_runs():
    notebook = nbformat.read(ROOT / "docs" / "tour.ipynb", as_version=4)
    client = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "docs")}}, kernel_name="python3",
        extra_arguments=["--HistoryManager.enabled=False"],
    )  # fmt: skip
    client.execute(env=environment())
    shown = json.dumps(notebook.cells)
    assert "text/html" in shown and "tokens_per_s_per_mm2" in shown


def test_the_notebook_keeps_no_output():
    notebook = nbformat.read(ROOT / "docs" / "tour.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)

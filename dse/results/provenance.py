"""Where a result comes from: versions of the packages, hashes of the inputs, the commit."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from cost_models.library import Library
from dse.results.yaml_text import yaml_text
from dse.sweep import Spec
from dse.sweep.library_additions import library_of

_PACKAGES = (
    "llm-chip-dse", "numpy", "scipy", "pydantic", "pyyaml", "pandas", "pyarrow", "moocore", "pymoo", "optuna", "joblib",
    "matplotlib", "typer", "rich",
)  # fmt: skip


def package_versions() -> dict[str, str]:
    """Return the installed version of every package that a run may use."""
    result = {}
    for name in _PACKAGES:
        try:
            result[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return result


def python_version() -> str:
    """Return the interpreter's name and version."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def text_hash(*texts: str) -> str:
    """Return the SHA-256 of texts, each told apart from the next."""
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def library_hash(library: Library) -> str:
    """Return the SHA-256 of the files of the technology library, names included."""
    folder = library.directory
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".csv"})
    return text_hash(*(text for path in files for text in (path.relative_to(folder).as_posix(), path.read_text())))


def source_commit() -> str | None:
    """Return the commit of the checkout that this program runs from, ``-dirty`` behind it where files differ.

    None where it does not run from a checkout, or git is not installed.
    """
    git = shutil.which("git")
    if git is None:
        return None
    here = Path(__file__).parent

    def ask(*arguments: str) -> str | None:
        done = subprocess.run([git, "-C", str(here), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    if ask("ls-files", "--error-unmatch", "errors.py") is None:
        return None
    return ask("describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*")


def parameters_by_confidence(paths: Iterable[str], library: Library) -> dict[str, list[str]]:
    """Return the parameters that a run has read, by their confidence: high, medium, low."""
    parameters = library.parameters
    result: dict[str, list[str]] = {"high": [], "medium": [], "low": []}
    for path in sorted(paths):
        result[parameters[path].confidence].append(path)
    return result


def resolved_text(spec: Spec, parameters_read: Iterable[str]) -> str:
    """Return the sweep with every default written out, and behind it the parameters of the library that were read.

    The parameters stand in comments, each with value, range, unit, sources, year and confidence, so that the text is a
    sweep itself.

    Args:
        spec: the sweep.
        parameters_read: paths of the parameters that the models asked for.
    """
    parameters = library_of(spec.library).parameters
    lines = ["", "# Parameters of the library that this run read: value (low to high) unit [sources, year, confidence]"]
    for path in sorted(parameters_read):
        parameter = parameters[path]
        ends = (
            f" ({parameter.low:g} to {parameter.high:g})"
            if parameter.low is not None and parameter.high is not None
            else ""
        )
        replaced = f", replaced by {spec.technology[path]:g} here" if path in spec.technology else ""
        cited = ", ".join(
            [*parameter.sources, *([str(parameter.year)] if parameter.year else []), parameter.confidence]
        )
        lines.append(f"# {path}: {parameter.typ:g}{ends} {parameter.unit} [{cited}]{replaced}".replace("  ", " "))
    return yaml_text(spec.resolved()) + "\n".join(lines) + "\n"

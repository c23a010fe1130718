"""Where a result comes from: versions of the packages, hashes of the inputs, the commit."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import cost_models

_PACKAGES = (
    "llm-chip-dse",
    "numpy",
    "scipy",
    "pydantic",
    "pyyaml",
    "pandas",
    "pyarrow",
    "moocore",
    "pymoo",
    "optuna",
    "joblib",
    "matplotlib",
    "typer",
    "rich",
)


def package_versions() -> dict[str, str]:
    """Return the installed version of every package that a run may use."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


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


def library_hash() -> str:
    """Return the SHA-256 of the files of the technology library, names included."""
    folder = Path(cost_models.__file__).parent / "library"
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

"""``manifest.json`` as it must be, whoever wrote it: what a run is, how far it came, and the checksums of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cost_models.errors import ForeignFileError
from cost_models.library.foreign import read_json
from dse.errors import RunError

SCHEMA = 1
"""Version of the layout of a run directory."""

MANIFEST = "manifest.json"

SEAL = "manifest_sha256"
"""Key of the digest of everything else in a manifest."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Time = Annotated[str, Field(max_length=40)]
Words = Annotated[str, Field(max_length=1000)]
FileName = Annotated[str, Field(pattern=r"^[^./\\][^/\\]*(/[^./\\][^/\\]*)*$")]
"""Name of a file within a run directory."""


class _Part(BaseModel):
    # Older versions of pydantic warn of fields whose names begin as its own methods do.
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False, protected_namespaces=())


class _Counts(_Part):
    planned: Count
    evaluated: Count
    feasible: Count
    front: Count


class _Times(_Part):
    total: Seconds


class _Manifest(_Part):
    name: Words
    status: Literal["complete", "interrupted"]
    started: Time
    finished: Time
    sampler: Words
    seed: int
    counts: _Counts
    seconds: _Times
    designs_per_s: Count | None
    kept: Words
    notes: Annotated[list[Words], Field(max_length=1000)]
    packages: dict[Words, Words]
    python: Words
    commit: Words | None
    spec_sha256: Words
    library_sha256: Words
    model_sha256: Words = ""
    files: dict[FileName, Words] | None = None


def again(directory: Path) -> str:
    """Return how to get back what a run directory has lost."""
    return f"the same run again: dse run {directory / 'sweep.yaml'}"


def written_by(manifest: Mapping[str, Any]) -> str:
    """Return when a run was written and by which version, as a message says it."""
    version = manifest["packages"].get("llm-chip-dse", "of no known version")
    commit = f", commit {manifest['commit'][:12]}" if manifest["commit"] else ""
    return f"written on {manifest['finished'][:10]} by llm-chip-dse {version}{commit}"


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest of a manifest without its own."""
    kept = {key: value for key, value in manifest.items() if key != SEAL}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of a run directory.

    Raises:
        RunError: it cannot be read, is that of another version, or is damaged.
    """
    file = directory / MANIFEST
    try:
        result = read_json(file)
    except ForeignFileError as error:
        raise RunError(f"{error}; {again(directory)}") from None
    if not isinstance(result, dict) or "schema" not in result:
        raise RunError(f"{file}: is not the manifest of a run")
    if result["schema"] != SCHEMA:
        raise RunError(f"{file}: schema {result['schema']!r:.40} is not {SCHEMA}, the one that this version reads")
    if SEAL in result and result[SEAL] != digest_of(result):
        raise RunError(f"{file}: is damaged; {again(directory)}")
    try:
        _Manifest.model_validate(result)
        for name in ("started", "finished"):
            datetime.fromisoformat(result[name])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RunError(f"{file}: is damaged, {where}: {first['msg']}; {again(directory)}") from None
    except ValueError as error:
        raise RunError(f"{file}: is damaged: {error}; {again(directory)}") from None
    return result

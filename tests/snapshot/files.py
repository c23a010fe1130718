"""Files that commands write, as lines of text: tables by column, JSON shortened, the report as its markup and data."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.snapshot.told import shortened

MOST_VALUES = 6
"""Values of a column, rows of a table and lines of a text that are told; of more, some at even steps."""


SHORT_LIST = re.compile(r"\[([^][{}]{,200})\]")
"""A list of a few values, which stands in one line."""


def told_files(paths: Sequence[Path]) -> str:
    """Return what files hold, each under its name; of those that hold no text only the name."""
    lines = []
    for path in paths:
        lines.append(f"# {path.name}")
        lines += READERS[path.suffix](path) if path.suffix in READERS else ()
    return "".join(f"{line}\n" for line in lines)


def printed(text: str) -> str:
    """Return what a command printed, shortened where it is for programs: a JSON document or a sheet."""
    if text.startswith(("{", "[")):
        return "\n".join(_data(json.loads(text)))
    lines = text.splitlines()
    if len(lines) > 1 and min(line.count(",") for line in lines) > 3:
        return "\n".join(_columns(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)))
    return text


def _some(values: Sequence[Any]) -> list[Any]:
    places = np.linspace(0, len(values) - 1, min(MOST_VALUES, len(values))).astype(int)
    return [values[place] for place in places]


def _csv(path: Path) -> Iterator[str]:
    yield from _columns(pd.read_csv(path, dtype=str, keep_default_na=False))


def _columns(table: pd.DataFrame) -> Iterator[str]:
    yield f" {len(table)} rows"
    for name in table:
        yield f" {name}: {' | '.join(map(str, _some(table[name].tolist())))}"


def _parquet(path: Path) -> Iterator[str]:
    yield from _columns(pd.read_parquet(path))


def _json(path: Path) -> list[str]:
    return _data(json.loads(path.read_text(encoding="utf-8")))


def _yaml(path: Path) -> list[str]:
    return _data(yaml.safe_load(path.read_text(encoding="utf-8")))


def _data(value: Any) -> list[str]:
    text = json.dumps(shortened(value), indent=1, ensure_ascii=False)
    return SHORT_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text).splitlines()


def _text(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


class _Page(HTMLParser):
    """Gathers the lines of a page: every element with its attributes, a line for a row of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self._start = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = "".join(f" {name}={value}" for name, value in attrs if name != "content")
        if tag in ("script", "style"):
            self._script = dict(attrs).get("id") or tag
        elif tag in ("td", "th"):
            self.lines[-1] += f" |{told} "
        elif tag == "br":
            self.lines[-1] += " / "
        else:
            self.lines.append(f"<{tag}{told}> ")
            self._start = len(self.lines) if tag in ("table", "pre") else self._start

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._script = None
        elif tag in ("table", "pre"):
            inside = self.lines[self._start :]
            self.lines[self._start :] = [f"{len(inside)} lines", *_some(inside)] if len(inside) > 20 else inside

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        elif data.strip():
            first, *more = data.split("\n")
            self.lines[-1] += first
            self.lines += [line for line in more if line.strip()]


def _report(path: Path) -> Iterator[str]:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    yield from page.lines
    data = json.loads(page.scripts["data"])
    yield from _data(data)
    designs, details = (
        gzip.decompress(base64.b64decode(page.scripts[f"packed-{one}"])) for one in ("designs", "details")
    )
    rows = data["counts"]["shown"]
    kinds = ["<u4", "u1", "<u4", *("u1" if column["names"] else "<f4" for column in data["columns"])]
    names = ["id", "state", "missed", *(column["name"] for column in data["columns"])]
    yield from _packed(designs, rows, dict(zip(names, kinds, strict=True)))
    paths = data["details"]["paths"]
    yield from _packed(details, len(data["details"]["rows"]), {" ".join(path): "<f4" for path in paths})


def _packed(content: bytes, rows: int, kinds: dict[str, str]) -> Iterator[str]:
    """Unpack columns as the script of the page does: each in planes, the lowest bytes of all rows first."""
    at = 0
    for name, kind in kinds.items():
        size = np.dtype(kind).itemsize
        planes = np.frombuffer(content[at : at + size * rows], dtype=np.uint8).reshape(size, rows)
        values = np.ascontiguousarray(planes.T).view(kind)[:, 0]
        at += size * rows
        yield f" {name}: {' | '.join(f'{value:.6g}' for value in _some(values))}"
    assert at == len(content)


READERS = {
    ".csv": _csv, ".parquet": _parquet, ".json": _json, ".yaml": _yaml, ".jsonl": _text, ".md": _text, ".html": _report,
}  # fmt: skip

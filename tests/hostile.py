"""Hostile files, drawn from a seed: what can be wrong with a file that somebody else made, for every reader of one."""

from __future__ import annotations

import copy
import json
import os
import resource
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cost_models.errors import LibraryError
from dse.errors import DseError
from dse.plain import printable

MAX_SECONDS = 2.0
"""Processor time that a reader may take over a hostile file."""

MAX_BYTES = 500_000_000
"""Memory that it may take beside."""

MAX_WALL_SECONDS = 30
"""Wall time after which it is said to hang."""

RAW = "raw:"
"""Start of text that is written without its quotes."""

WRONG: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, -0.5, 0.5, 1.5, 1e300, -1e300, 1e-320, 2**31, 2**53 + 1, 2**64, 10**300,
    f"{RAW}{'9' * 5000}", f"{RAW}1e999", f"{RAW}-1e999", f"{RAW}NaN", f"{RAW}Infinity", f"{RAW}.nan", f"{RAW}-.inf",
    "", " ", "x", "0", "1", "-1", "nan", "none", "12 GB", "\x1b[31mred\x07", "\ud800", "\u202e", "=1+1", "../../../x",
    "/dev/zero", "a" * 5000, "<script>alert(1)</script>", "%s%n{0}", [], {}, [[]], [1, 2], [None], {"a": 1}, {"": None},
    [[[[[[[[[[1]]]]]]]]]],
)  # fmt: skip
"""What stands where something else must."""

WORDS = (
    "yes", "no", "on", "off", "y", "~", "1_000", "0o17", "017", "0x1f", "0b11", "190:20:30", "12:30", ".inf", "-.INF",
    ".nan", "1e400", "2026-13-45", "2026-01-01", "!!int abc", "!!binary x", "!!python/object:os.system {}", "*nowhere",
    "&a [*a]", "<<", "? x", "[", "}", "- -", "'", '"', "|", "\t", "% 1", "@x", "`", "null", "Null", "TRUE", "+.5", "1.",
)  # fmt: skip
"""What an unquoted word of YAML may be."""

OTHERS = {
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "page": b"\n <!DOCTYPE html><html><body>404</body></html>",
    "empty": b"",
    "blank": b" \n\n\t\n",
    "nul": b"\0" * 300,
    "deep list": b"[" * 100_000,
    "deep mapping": b'{"a":' * 30_000,
    "deep yaml": b"a: " + b"[" * 3000 + b"]" * 3000,
    "bomb": b"a0: &a0 [1, 1]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
    "long line": b"a" * 3_000_000,
    "many lines": b"a\n" * 500_000,
    "many commas": b"," * 500_000,
    "many keys": b"{" + b",".join(b'"k%d": 1' % n for n in range(100_000)) + b"}",
    "same keys": b"{" + b",".join(b'"k": 1' for n in range(100_000)) + b"}",
    "noise": bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8)),
    "zip": b"PK\x03\x04" + b"\0" * 100,
    "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
}
"""Files that are something else altogether."""

PLACES = ("folder", "fifo", "zero", "dangling", "loop", "sparse")
"""What may stand in the place of a file."""


def in_place(kind: str, file: Path) -> None:
    """Put something that is no file in a place."""
    match kind:
        case "folder":
            file.mkdir()
        case "fifo":
            os.mkfifo(file)
        case "sparse":
            with file.open("wb") as sparse:
                sparse.truncate(1 << 40)
        case _:
            file.symlink_to({"zero": "/dev/zero", "dangling": "nowhere", "loop": file.name}[kind])


@dataclass(frozen=True)
class Target:
    """A reader of files from outside.

    Attributes:
        file: what its file is called.
        samples: whole files.
        read: reads one, and whatever is made of it.
        parse: bytes to a tree of plain data; None where a file is no tree.
        dump: that tree to bytes.
    """

    file: str
    samples: Sequence[bytes]
    read: Callable[[Path], object]
    parse: Callable[[bytes], Any] | None = None
    dump: Callable[[Any], bytes] | None = None


def as_json(tree: Any) -> bytes:
    """Return a tree as JSON, with what JSON forbids."""
    text = json.dumps(tree, indent=1)
    for word in (one for one in WRONG if isinstance(one, str) and one.startswith(RAW)):
        text = text.replace(json.dumps(word), word.removeprefix(RAW))
    return text.encode(errors="surrogatepass")


def as_yaml(tree: Any) -> bytes:
    """Return a tree as YAML, with what is not plain data."""
    text = yaml.dump(tree, sort_keys=False, allow_unicode=True, width=10**6)
    return text.replace(f"'{RAW}", "").replace(RAW, "").encode(errors="surrogatepass")


def paths_of(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a tree."""
    if path:
        yield path
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        yield from paths_of(value, (*path, key))


def damaged_tree(tree: Any, rng: np.random.Generator) -> tuple[str, Any]:
    """Return what was done to a tree, and the tree."""
    tree = copy.deepcopy(tree)
    paths = list(paths_of(tree))
    path = paths[rng.integers(len(paths))]
    outer = tree
    for key in path[:-1]:
        outer = outer[key]
    key = path[-1]
    way = rng.integers(8)
    where = ".".join(map(str, path))[-60:]
    if way <= 3:
        outer[key] = WRONG[rng.integers(len(WRONG))]
        return f"{where} = {str(outer[key])[:20]!r}", tree
    if way == 4:
        del outer[key]
        return f"{where} deleted", tree
    if way == 5 and isinstance(outer, dict):
        outer[str(WRONG[rng.integers(len(WRONG))])] = outer.pop(key)
        return f"{where} renamed", tree
    if way == 6:
        for _ in range(int(rng.integers(1, 60))):
            outer[key] = [outer[key]] if rng.integers(2) else {"a": outer[key]}
        return f"{where} wrapped", tree
    value = outer[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        outer[key] = value * [-1, 0, 1e-9, 1e9, 1e30, 1 + 1e-12][rng.integers(6)]
        return f"{where} scaled to {outer[key]}", tree
    other = tree
    for part in paths[rng.integers(len(paths))]:
        other = other[part]
    outer[key] = copy.deepcopy(other)
    return f"{where} swapped", tree


def damaged_bytes(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return what was done to bytes, and the bytes."""
    place = int(rng.integers(max(len(content), 1)))
    flips = bytearray(content)
    match int(rng.integers(12)):
        case 0 | 1 | 2:
            return f"cut at {place}", content[:place]
        case 3 | 4 | 5:
            for spot in rng.integers(len(flips), size=int(rng.integers(1, 4))):
                flips[spot] ^= 1 << int(rng.integers(8))
            return f"bits flipped near {place}", bytes(flips)
        case 6:
            return f"noise at {place}", content[:place] + rng.bytes(int(rng.integers(1, 9))) + content[place:]
        case 7:
            coding = ["utf-16", "utf-32", "utf-8-sig", "latin-1"][rng.integers(4)]
            text = content.decode("latin-1") + ("\u00e9" if coding == "latin-1" else "\u20ac")
            return coding, text.encode(coding)
        case 8:
            sign = [b"\0", b"\r", b"\x1b", b"\x7f", b"\xff", b"\xc3", b",", b'"', b"\n", b"\t", b"\xe2\x80\xae"]
            return f"a sign at {place}", content[:place] + sign[rng.integers(len(sign))] + content[place:]
        case 9:
            lines = content.splitlines(keepends=True) or [b""]
            spot = int(rng.integers(len(lines)))
            return f"line {spot} twice", b"".join([*lines[:spot], lines[spot], *lines[spot:]])
        case 10:
            word = WORDS[rng.integers(len(WORDS))].encode()
            spot = content.find(b" ", place) + 1
            end = content.find(b"\n", spot)
            return f"{word!r} at {spot}", content[:spot] + word + content[end if end > 0 else len(content) :]
        case _:
            return "twice", content + content


def cases(target: Target, count: int, seed: int) -> Iterator[tuple[str, str | bytes]]:
    """Yield what was done and the hostile content, or the name of what stands in place of a file."""
    yield from ((kind, kind) for kind in PLACES)
    yield from OTHERS.items()
    rng = np.random.default_rng(seed)
    trees = [target.parse(sample) for sample in target.samples] if target.parse else []
    for number in range(count - len(PLACES) - len(OTHERS)):
        pick = int(rng.integers(len(target.samples)))
        if trees and target.dump and number % 3:
            what, tree = damaged_tree(trees[pick], rng)
            yield what, target.dump(tree)
        else:
            yield damaged_bytes(target.samples[pick], rng)


class Hang(BaseException):
    """A reader took longer than any may."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise Hang where the wall time is over, and MemoryError where the memory is."""

    def end(*_: object) -> None:
        raise Hang

    before, memory = signal.signal(signal.SIGALRM, end), resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    signal.alarm(MAX_WALL_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, memory[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, memory)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Tally:
    """What came of hostile files: how many were refused or read, and what is wrong with the reader."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def attack(target: Target, folder: Path, count: int, seed: int) -> Tally:
    """Let a reader read hostile files, and return what came of it.

    It must return, or raise what the command line turns into lines and status 2, within the time, without a warning,
    and leave the folder as it was; the lines must name the file.
    """
    tally = Tally()
    for number, (what, content) in enumerate(cases(target, count, seed)):
        home = folder / str(number)
        file = home / target.file
        file.parent.mkdir(parents=True)
        if isinstance(content, str):
            in_place(content, file)
        else:
            file.write_bytes(content)
        there = sorted(home.rglob("*"))
        began = time.process_time()
        issue, said = "", ""
        try:
            with no_hang(), warnings.catch_warnings():
                warnings.simplefilter("error")
                target.read(file)
            tally.outcomes["read"] += 1
        except (DseError, LibraryError) as error:
            tally.outcomes["refused"] += 1
            said = str(error)
        except Hang:
            issue = "hangs"
        except BaseException as error:
            issue = f"{type(error).__name__}: {str(error)[:200]}"
        spent = time.process_time() - began
        tally.slowest_s = max(tally.slowest_s, spent)
        if spent > MAX_SECONDS:
            issue = f"takes {spent:.1f} s"
        elif sorted(home.rglob("*")) != there:
            issue = "writes a file"
        elif said and (len(said) > 20_000 or any(len(line) > 1000 for line in said.splitlines())):
            issue = f"says {len(said)} characters: {said[:200]}"
        elif said and file.name not in printable(said) and file.parent.name not in said:
            issue = f"names no file: {said[:200]}"
        if issue:
            tally.faults.append(f"{what}: {issue}" + (f" [{file}]"))
    return tally

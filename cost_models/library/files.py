"""Reading the library's YAML: plain data out, and the file and line of whatever is wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cost_models.errors import LibraryError, UnknownEntryError, shown, told
from cost_models.library.foreign import read_text
from cost_models.library.plain_yaml import LOADER, plain_data

Data = Mapping[str, Any]


def read_yaml(path: Path) -> Data:
    """Return the mapping that a file holds.

    Raises:
        ForeignFileError: it cannot be read or is too large.
        LibraryError: it is not YAML, holds no mapping, has a key twice in one mapping, or more than plain data.
    """
    try:
        data = plain_data(read_text(path))
    except yaml.reader.ReaderError as error:
        raise LibraryError(f"{path}: holds the character {error.character!r}, which YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise LibraryError(f"{path.name}{line}: {error.problem or 'not YAML'}") from None
    if not isinstance(data, Mapping):
        raise LibraryError(f"{path.name}:1: must hold a mapping of sections, got {type(data).__name__}")
    return data


@functools.lru_cache(maxsize=2)
def _nodes(text: str) -> yaml.Node | None:
    """Return a text as a tree of nodes, which know their lines; kept, as one file may have many issues."""
    return yaml.compose(text, Loader=LOADER)


def line_of(path: Path, keys: Sequence[str | int]) -> int:
    """Return the line of the entry under nested `keys`, or of the deepest part of it that exists."""
    node = _nodes(read_text(path))
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            result = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if result is None:
                break
            line, node = result[0].start_mark.line + 1, result[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line


CASES = ("claims.yaml", "claims_2026.yaml")
"""Files beside the library's sections that hold cases to be judged, not data."""


def _merged(below: Any, above: Any) -> Any:
    """Return two contents as one in which `above` wins; what holds a value of its own is not merged into."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping) or {"typ", "value"} & above.keys():
        return above
    return {**below, **{key: _merged(below.get(key), inner) for key, inner in above.items()}}


@dataclass
class Sections:
    """The top-level sections of all files of a tree, and the issues found in them so far.

    Attributes:
        data: section name to its content.
        files: the file that holds a section, or an entry of one, by its keys; what is made in a program has none.
        issues: messages, each with file and line.
        overlays: sections that were laid over these, the last winning.
        where: file and line of what stands under keys, for what was read as a part of another file.
    """

    data: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, ...], Path] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    overlays: list[Sections] = field(default_factory=list)
    where: Callable[[Sequence[str | int]], str] = field(default=lambda keys: "")

    @classmethod
    def read(cls, directory: Path) -> Sections:
        """Read every YAML file of a directory and of the directories in it; the entries of a section add up.

        Raises:
            LibraryError: no file, a file that cannot be read, or an entry that stands in two files.
        """
        sections = cls()
        paths = sorted(path for path in directory.rglob("*.yaml") if path.name not in CASES)
        if not paths:
            raise LibraryError(f"{directory}: holds no YAML file")
        for path in paths:
            for name, content in read_yaml(path).items():
                sections._add(name, content, path)
        return sections

    def _add(self, name: str, content: Any, path: Path) -> None:
        """Take the entries of a section that a file holds."""
        before = self.data.get(name)
        entries = content if isinstance(content, Mapping) else {}
        twice = [key for key in entries if (name, str(key)) in self.files]
        if twice or (name in self.data and not (isinstance(before, Mapping) and isinstance(content, Mapping))):
            keys = (name, *map(str, twice[:1]))
            other = self.files.get(keys, self.files[name,]).name
            raise LibraryError(f"{path.name}:{line_of(path, keys)}: {'.'.join(keys)} stands in {other} too")
        self.data[name] = {**before, **entries} if isinstance(before, Mapping) else content
        self.files.setdefault((name,), path)
        self.files.update({(name, str(key)): path for key in entries})

    def lay_over(self, above: Sections) -> None:
        """Merge further sections over these, key by key; a parameter or a list is replaced as a whole.

        Raises:
            LibraryError: a section that the library does not have.
        """
        unknown = [name for name in above.data if name not in self.data]
        if unknown:
            where = above.place_of([unknown[0]])
            raise LibraryError(f"{where}{UnknownEntryError('section', str(unknown[0]), self.data)}")
        for name, content in above.data.items():
            self.data[name] = _merged(self.data[name], content)
        self.overlays.append(above)

    def place_of(self, keys: Sequence[str | int]) -> str:
        """Return file and line of the entry under `keys` with a colon behind, "" where no file holds it."""
        for above in reversed(self.overlays):
            if above.holds(keys[:2]):
                return above.place_of(keys)
        names = tuple(map(str, keys[:2]))
        path = self.files.get(names, self.files.get(names[:1]))
        place = f"{path.name}:{line_of(path, keys)}" if path else self.where(keys)
        return f"{place}: " if place else ""

    def holds(self, keys: Sequence[str | int]) -> bool:
        """Return whether something stands under nested keys."""
        node: Any = self.data
        for key in keys:
            if not isinstance(node, Mapping) or key not in node:
                return False
            node = node[key]
        return True

    def entries(self, section: str) -> Iterator[tuple[str, Data]]:
        """Yield key and mapping of every entry of a section; anything else becomes an issue."""
        content = self.data.get(section, {})
        if not isinstance(content, Mapping):
            self.issue([section], "must be a mapping of entries")
            return
        for key, entry in content.items():
            if isinstance(entry, Mapping):
                yield str(key), entry
            else:
                self.issue([section, str(key)], f"must be a mapping of fields, got {shown(entry)}")

    def issue(self, keys: Sequence[str | int], message: str) -> None:
        """Note what is wrong with the entry under `keys`, the first of which names its section."""
        name = ".".join(str(key) for key in keys)
        self.issues.append(f"{self.place_of(keys)}{name}: {message}")

    def raise_issues(self) -> None:
        """Raise LibraryError with all issues noted, if there are any."""
        if self.issues:
            raise LibraryError(told(self.issues))

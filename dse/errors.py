"""What can go wrong, one class per reaction of the person in front of it.

DseError                  anything the person at the keyboard can put right
├── SpecError             a sweep file or the arguments are not what they must be: every issue, with its place
├── MissingPackageError   an optional package is needed: the command that installs it
├── SamplerError          a sampler was used out of turn, or its saved state is not one
├── RunError              a run directory cannot be written, read or resumed
│   └── RecordError       what a search keeps on disk is damaged, or something else
└── TensorError           a tensor to compress cannot be read or used as asked

Anything else that is raised is a defect of this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cost_models.errors import clipped, told


class DseError(Exception):
    """Something that the person who started the program can put right."""


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands in a file or an argument.

    Attributes:
        file: path of the file as it was given, or the argument (``--set search.seed=1``).
        line: line number from 1; 0 where the whole file or argument is meant.
        column: column number from 1; 0 where the whole line is meant.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.file, *numbers])


NOWHERE = Place("")
"""The place of what was not read from a file."""


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong with a sweep.

    Attributes:
        place: where it stands.
        path: the key it concerns, as ``objectives[0].direction``; "" for the file as a whole.
        what: what it is. A value when `must_be` is given, otherwise the whole statement.
        must_be: what the value must be.
        perhaps: what was probably meant.
    """

    place: Place
    path: str
    what: str
    must_be: str = ""
    perhaps: str = ""

    def __str__(self) -> str:
        where = "  ".join(part for part in (str(self.place), clipped(self.path)) if part)
        says = f"{self.what} is not {self.must_be}" if self.must_be else self.what
        perhaps = f"; perhaps {self.perhaps}" if self.perhaps else ""
        text = clipped(f"{says}{perhaps}")
        return f"{where}: {text}" if where else text


class SpecError(DseError):
    """A sweep is not what it must be; holds every issue that was found.

    Attributes:
        issues: the issues, in the order of the file, without repeats.
    """

    def __init__(self, issues: Iterable[Issue]) -> None:
        # A stable sort: issues of one place stay in the order in which they were found.
        self.issues: tuple[Issue, ...] = tuple(sorted(dict.fromkeys(issues), key=lambda issue: issue.place))
        if not self.issues:
            raise ValueError("a SpecError needs at least one issue")
        super().__init__(told([*map(str, self.issues)]))

    def __reduce__(self) -> tuple[type[SpecError], tuple[Sequence[Issue]]]:
        return SpecError, (self.issues,)


class MissingPackageError(DseError):
    """An optional package is needed and not installed.

    Args:
        package: the package, as it is installed.
        needed_for: what needs it.
    """

    def __init__(self, package: str, needed_for: str) -> None:
        self.package, self.needed_for = package, needed_for
        super().__init__(package, needed_for)

    def __str__(self) -> str:
        return f"{self.needed_for} needs the package {self.package}; install it with: pip install {self.package}"


class SamplerError(DseError):
    """A sampler was used out of turn, or the state it should continue from is not one of its own."""


class RunError(DseError):
    """A run directory cannot be written, read or resumed."""


class RecordError(RunError):
    """What a search keeps on disk is damaged, or of another kind than is read."""


class TensorError(DseError):
    """A tensor to compress cannot be read or used as asked."""

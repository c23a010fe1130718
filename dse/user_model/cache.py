"""Every answer of a model, kept as it comes: no design is asked about twice, not even after a kill."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from dse.errors import RunError
from dse.user_model.answers import Answer


def key_of(row: Mapping[str, float | int | str]) -> str:
    """Return what stands for a design: a hash of its parameters."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:32]


class AnswerCache:
    """Answers by design, in memory and in a file."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._file: Path | None = None
        self.answered = 0

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Answer:
        return self._answers[key]

    def __len__(self) -> int:
        return len(self._answers)

    def all_failed(self, at_least: int) -> str:
        """Return the last reason where so many answers or more are all failures, else ""."""
        if self.answered or len(self._answers) < at_least:
            return ""
        return next(reversed(self._answers.values())).reason

    def add(self, answers: Mapping[str, Answer]) -> None:
        """Take over answers, on disk first.

        Raises:
            RunError: they cannot be written.
        """
        if self._file is not None:
            lines = [json.dumps([key, one.values, one.reason]) for key, one in answers.items()]
            try:
                with self._file.open("a", encoding="utf-8") as file:
                    # A line that a kill has cut off ends here, and is not read.
                    file.write("\n" + "\n".join(lines))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise RunError(f"{self._file}: cannot be written: {error.strerror or error}") from error
        self._take(answers)

    def _take(self, answers: Mapping[str, Answer]) -> None:
        self._answers.update(answers)
        self.answered += sum(one.values is not None for one in answers.values())

    def keep_in(self, file: Path) -> None:
        """Write answers to a file from now on, after those that it holds have been read."""
        if file.exists():
            result = {}
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    key, values, reason = json.loads(line)
                except ValueError:
                    continue
                result[key] = Answer(values, reason)
            self._take({key: one for key, one in result.items() if key not in self._answers})
        self._file = file

    def state(self) -> dict[str, tuple[Mapping[str, float] | None, str]]:
        """Return all answers as plain data."""
        return {key: (one.values, one.reason) for key, one in self._answers.items()}

    def restore(self, state: Mapping[str, tuple[Mapping[str, float] | None, str]]) -> None:
        """Take over answers of another search of the same sweep."""
        self._take({key: Answer(*one) for key, one in state.items() if key not in self._answers})

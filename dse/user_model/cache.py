"""Every answer of a model, kept as it comes: no design is asked about twice, not even after a kill."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cost_models.library.foreign import opened
from dse.errors import RunError
from dse.packing import Data, Record
from dse.user_model.answers import Answer

MAX_BYTES, MAX_LINE = 2**32, 2**16
"""Largest file of answers that is read, and the longest line of one."""


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
            with opened(file, MAX_BYTES) as lines:
                # A piece of a longer line is not read, like one that a kill has cut off.
                while line := lines.readline(MAX_LINE):
                    answer = _written(line.decode(errors="replace"))
                    if answer is not None:
                        result[answer[0]] = answer[1]
            self._take({key: one for key, one in result.items() if key not in self._answers})
        self._file = file

    def state(self) -> Data:
        """Return all answers as plain data (`dse.packing`): keys, a column per metric, and why there is none."""
        answers = self._answers.values()
        names = list(dict.fromkeys(name for one in answers for name in one.values or ()))
        return {
            "keys": list(self._answers),
            "metrics": names,
            "values": np.array([[(one.values or {}).get(name, np.nan) for name in names] for one in answers])
            .reshape(len(self._answers), len(names)),
            "has_values": np.array([one.values is not None for one in answers], dtype=bool),
            "reasons": [one.reason for one in answers],
        }  # fmt: skip

    def restore(self, state: Record) -> None:
        """Take over answers of another search of the same sweep.

        Raises:
            RecordError: they are something else.
        """
        keys, names, reasons = state.texts("keys"), state.texts("metrics"), state.texts("reasons")
        values = state.array("values", np.float64, len(keys), len(names)).tolist()
        known = state.array("has_values", np.bool_, len(keys)).tolist()
        if len(reasons) != len(keys):
            raise state.wrong("reasons", f"of {len(keys)} answers")
        self._take({
            key: Answer(dict(zip(names, row, strict=True)) if has_values else None, reason)
            for key, row, has_values, reason in zip(keys, values, known, reasons, strict=True)
            if key not in self._answers
        })  # fmt: skip


def _written(line: str) -> tuple[str, Answer] | None:
    """Return the key and the answer in a line; None where it was cut off or is something else."""
    try:
        result = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(result, list) or len(result) != 3:
        return None
    key, values, reason = result
    if not isinstance(key, str) or not isinstance(reason, str):
        return None
    if values is None:
        return key, Answer(None, reason)
    fits = isinstance(values, dict) and all(isinstance(value, float) for value in values.values())
    return (key, Answer(values, reason)) if fits and np.isfinite(list(values.values())).all() else None

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dse.sweep.verdict import FOLDER, verdicts
from tests.sweeps import TEXT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def answers_as_stored(data_regression: Any) -> Callable[[str], None]:
    """A function that sees that every change of a group of rules is answered in the words that are stored."""

    def check(name: str) -> None:
        data_regression.check(verdicts(name), fullpath=FOLDER / f"{name}.yml")

    return check

from pathlib import Path

import pytest

from tests.sweeps import TEXT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path

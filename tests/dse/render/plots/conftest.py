"""Figures that would have been written, so that what they hold is read back: nothing is laid out or rendered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Figures by the stem of their files, in place of the files."""
    figures: dict[str, Any] = {}

    def kept(figure: object, folder: Path, stem: str, formats: Sequence[str]) -> list[Path]:
        figures[stem] = figure
        return [folder / f"{stem}.{suffix}" for suffix in formats]

    for name, module in list(sys.modules.items()):
        if name.startswith("dse.render.plots."):
            for replaced, stand_in in (("save", kept), ("freeze_layout", lambda _: None)):
                if hasattr(module, replaced):
                    monkeypatch.setattr(module, replaced, stand_in)
    return figures

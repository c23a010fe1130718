"""``python -m studies [NAME ...]``: rebuild the studies in ``results`` from the sweeps in ``sweeps``."""

from __future__ import annotations

import sys
from pathlib import Path

from studies.build import build

if __name__ == "__main__":
    build(Path("results"), Path("sweeps"), sys.argv[1:])

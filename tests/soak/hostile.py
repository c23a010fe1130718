"""Hostile files by the thousand, for every reader; what is wrong with one is printed, and how many were tried.

python -m tests.soak.hostile [--cases N] [--seed S] [--keep DIR] [READER ...]
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.hostile import attack
from tests.hostile_targets import targets


def main() -> None:
    """Attack the readers that are named, all by default; status 1 where one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER")
    parser.add_argument("--cases", type=int, default=2000, help="files per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to keep the files in")
    asked = parser.parse_args()
    known, faults, tried = targets(), 0, 0
    for name in asked.readers or known:
        folder = Path(tempfile.mkdtemp(prefix="hostile"))
        tally = attack(known[name], folder, asked.cases, asked.seed)
        tried += asked.cases
        faults += len(tally.faults)
        counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.outcomes.items()))
        print(f"{name}: {asked.cases} files, {counts}, {len(tally.faults)} faults, slowest {tally.slowest_s:.2f} s")
        print(*(f"  {fault}" for fault in tally.faults), sep="\n", flush=True)
        if asked.keep is None:
            shutil.rmtree(folder)
        else:
            shutil.move(folder, asked.keep / name)
    print(f"{tried} files, {faults} faults")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()

"""Make the tables of docs/validation.md anew from the rows and constants that the library ships.

python -m studies.accuracy            print them
python -m studies.accuracy --write    and put them into the page, between its markers
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from cost_models.library.technology import Technology
from dse.validation.results import Validation
from dse.validation.run import run_validation
from studies import pages
from studies.accuracy import power
from studies.accuracy.scores import Lines, score_blocks

PAGE = "validation.md"


def blocks(made: Validation) -> Mapping[str, Lines]:
    """Return every block of the page by its name.

    Args:
        made: `run_validation` of all shipped rows.
    """
    technology = Technology()
    return score_blocks(made, technology.library) | {
        "energy_constants": power.energy_constants(technology),
        "splitwise": power.splitwise(technology),
        "power_caps": power.caps(made.internal, technology),
        "baseline_steps": power.baseline_steps(),
    }


def main() -> None:
    """Print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help=f"put them into docs/{PAGE}")
    asked = options.parse_args()
    made = blocks(run_validation())
    if asked.write:
        pages.write(PAGE, made)
    for name, lines in made.items():
        print(f"\n{name}\n", *lines, sep="\n")


if __name__ == "__main__":
    main()

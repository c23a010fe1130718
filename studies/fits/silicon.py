"""Fit the constants of area and power on real chips, typed as designs and evaluated by the path of designs.

What is fitted, from which start: ``silicon_checks/constants.csv`` of the library; the chips: ``designs.csv``; what a
die told the library otherwise, and is taken from elsewhere where it is left out: ``informed.csv``. Each die is left
out in turn. Trials that were given up are listed below, with the mean absolute leave-one-out error of each.

    python -m studies.fits.silicon            fit and print
    python -m studies.fits.silicon --write    and put the constants into the library
"""

from __future__ import annotations

import argparse

import numpy as np

from cost_models.library import shipped_library
from cost_models.library.technology import Technology
from dse.validation.silicon.designs import real_chips
from dse.validation.silicon.fit import left_out, published
from studies.fits.power import put

FILES = {
    "floorplan": "silicon.yaml",
    "on_chip": "silicon.yaml",
    "clocking": "silicon.yaml",
    "mac_n7": "arithmetic.yaml",
}
"""File of the library by the first word of a parameter's path."""

TRIALS = """
given up, area (16 GPUs or 13 NPUs each):
  GPUs: lanes 16.3 %, lanes and a constant 16.8, FP32 and FP64 units apart 16.1, with MACs 17.3, lanes and SRAM with
    FP64 apart 10.2, lanes and cache with a core share 10.6, with memory bandwidth 11.9
  NPUs: MACs 30.4 %, SRAM 17.9, MACs and a constant area per die 17.5, MACs and SRAM 15.5, arithmetic rate and a
    constant 17.6, bandwidth and SRAM 15.2, periphery with MACs 15.1, with arithmetic rate 15.2, with SRAM 16.7, with
    MACs and bandwidth 14.1
given up, power:
  GPUs: MACs 18.8 %, MACs and lanes with factors of their own 16.2, energy per area and clock 25 to 29
  NPUs: against TDP throughout 44 %; against what makers measured where they did 31.8; energy per area and clock 66,
    per SRAM 72, half the leakage 31.1
"""


def main() -> None:
    """Fit, print, and write when asked to."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--write", action="store_true", help="put the constants into the library")
    arguments = options.parse_args()
    technology = Technology()
    chips = real_chips(shipped_library())
    result = left_out(chips, technology)
    print(TRIALS)
    for quantity, fits in result.fits.items():
        real = published(chips, quantity)
        dies = int(np.isfinite(real).sum())
        error = np.nanmean(np.abs(result.predicted[quantity] / real - 1))
        print(f"{quantity}: {dies} dies, mean absolute error left out {error:.3f}")
        for place, name in enumerate(fits.names):
            value, factor = fits.values[0, place], np.exp(2 * fits.errors[0, place])
            others = fits.values[1:, place]
            print(f"  {name:45s} {value / factor:10.4g} {value:10.4g} {value * factor:10.4g}")
            note = (
                f"fitted on the {quantity} of {dies} real dies with {len(fits.names)} constants "
                f"(studies/fits/silicon.py); low "
                f"and high are two standard errors; {others.min():.3g} to {others.max():.3g} with a die left out"
            )
            if arguments.write:
                numbers = f"low: {value / factor:.4g}, typ: {value:.4g}, high: {value * factor:.4g}"
                file = FILES[name.partition(".")[0]]
                put(name, f'{{{numbers}, src: [derived], conf: medium, note: "{note}"}}', file)


if __name__ == "__main__":
    main()

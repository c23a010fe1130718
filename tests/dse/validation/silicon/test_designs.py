"""Power of real chips in the scope that is published."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from cost_models.library import shipped_library
from cost_models.table import Choice
from dse.validation.silicon.designs import scoped_power_w

LIBRARY = shipped_library()


def test_power_of_a_package_is_without_the_board_and_the_memory_beside_it():
    grades = {
        grade: LIBRARY.memories[entry.technology].packaging_class for grade, entry in LIBRARY.memory_grades.items()
    }
    beside = next(grade for grade, packed in grades.items() if packed == "board")
    within = next(grade for grade, packed in grades.items() if packed != "board")
    chips = SimpleNamespace(
        table=pd.DataFrame({"power_scope": ["board", "package", "package"]}),
        designs={"memory": Choice.of(within, beside, within)},
    )
    watts = {"board": 10.0, "conversion_loss": 5.0, "memory": 40.0, "memory_idle": 2.0}
    machine = SimpleNamespace(tdp_w=np.full(3, 200.0), blocks={"tdp_w": {k: np.array([v]) for k, v in watts.items()}})
    assert scoped_power_w(chips, machine, LIBRARY).tolist() == [200, 200 - 57, 200 - 15]

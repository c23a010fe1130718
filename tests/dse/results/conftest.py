import pytest

from dse.runs import run
from dse.sweep import parse_spec
from tests import sweeps

FEW = {"draws": 4, "designs": 2}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    specs = [
        parse_spec(sweeps.tiny(search={"sampler": "sobol", "n_designs": 64, "seed": seed}, robustness=FEW))
        for seed in (1, 2)
    ]
    return [run(spec, out=folder / str(number)).path for number, spec in enumerate(specs)]

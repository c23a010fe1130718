# make run         install into .venv, with the versions of constraints.txt, and run the Mach-1 sweep
# make test        install likewise and run the tests; those that need PyTorch run where it is installed
# make test-torch  install PyTorch too and run the tests that need it
# make check       lint, format and types
# make docs        build the documentation into site/
# make wheel       build the wheel and try it in an empty environment
# make newest      run the tests with the newest versions there are; make newest-quick a part of them
# make lowest      run the tests with the oldest versions that pyproject.toml allows; make lowest-quick a part of them
# make lock        write constraints.txt anew: the newest versions there are
# make soak        kill searches, and fill their disk, at random moments, many times; 5,000 hostile files for every reader;
#                  other random examples in every test
# make mutation    change operators and numbers in a sample of places, and see what the tests notice (hours)
# make bench       where the time of a whole run goes; speed of the evaluator, as ratios, of large grids, and of the encoders
# make bench-search  convergence of every sampler to an exact front (minutes); the plot in docs/pictures
# make studies     write the studies in results/ anew from the sweeps and the models (minutes)

PYTHON ?= python3
LOWEST_PYTHON ?= $(PYTHON)
# Old versions are deprecated by the newest of what they themselves need, and warn of what newer ones have changed.
OLD_WARNINGS := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning
VENV := .venv
BIN := $(VENV)/bin
# Another build of PyTorch: make test-torch TORCH='torch==2.13.0+cpu'. One for CPUs is enough.
TORCH ?= torch==2.13.0
# Files of tests are shared out over the cores, in the order of tests/conftest.py.
SPREAD := -n auto --dist loadfile --no-loadscope-reorder
# Files of tests with a mark; of all others only the reading takes a while.
marked = $$(grep -rl --include='test_*.py' 'mark\.$(1)' tests)
INSTALLED := $(VENV)/.installed

.PHONY: run test test-torch check lint types docs wheel newest newest-quick newest-installed lowest lowest-quick \
    lowest-installed lock bench bench-search soak mutation studies clean

run: $(INSTALLED)
	$(BIN)/dse run sweeps/mach1.yaml

test: $(INSTALLED)
	$(BIN)/python -m pytest $(SPREAD)

# pip, unlike uv, looks where the user's configuration tells it to, and prefers a build for CPUs where that offers one.
test-torch: $(INSTALLED)
	@$(BIN)/python -c 'import torch' 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt '$(TORCH)' || \
	    { echo "make test-torch: PyTorch ($(TORCH)) is not installed and cannot be: its tests cannot run"; exit 1; }
	DSE_TORCH_TESTS=1 $(BIN)/python -m pytest $(SPREAD) -m torch $(call marked,torch)

check: lint types

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/python -m mkdocs build --strict

wheel: $(INSTALLED)
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --wheel --outdir dist . >/dev/null
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/wheel
	$(BIN)/uv pip install --quiet --python $(VENV)/wheel/bin/python --constraint constraints.txt dist/*.whl
	$(VENV)/wheel/bin/python tests/wheel/try_wheel.py

# Stored answers are those of the locked versions: others round, name and lay out a little otherwise.
ELSEWHERE := not browser and not docs and not torch and not stored

newest: newest-installed
	$(VENV)/newest/bin/python -m pytest $(SPREAD) -m '$(ELSEWHERE)'

newest-quick: newest-installed
	$(VENV)/newest/bin/python -m pytest $(SPREAD) -m 'bounded and $(ELSEWHERE)' $(call marked,bounded)

newest-installed: $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/newest
	$(BIN)/uv pip install --quiet --python $(VENV)/newest/bin/python --editable '.[test]'

lowest: lowest-installed
	$(VENV)/lowest/bin/python -m pytest $(SPREAD) -m '$(ELSEWHERE)' $(OLD_WARNINGS)

lowest-quick: lowest-installed
	$(VENV)/lowest/bin/python -m pytest $(SPREAD) -m 'bounded and $(ELSEWHERE)' $(OLD_WARNINGS) $(call marked,bounded)

lowest-installed: $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(LOWEST_PYTHON) $(VENV)/lowest
	$(BIN)/uv pip install --quiet --python $(VENV)/lowest/bin/python --resolution lowest-direct --editable '.[test]'

lock: $(INSTALLED)
	$(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate --universal --extra dev --extra mutation pyproject.toml \
	    -o constraints.txt

soak: $(INSTALLED)
	DSE_SOAK_KILLS=300 $(BIN)/python -m pytest -k test_kills
	DSE_SOAK_KILLS=60 $(BIN)/python -m pytest -k 'test_search and killed'
	DSE_SOAK_DAMAGE=5 $(BIN)/python -m pytest -k test_damage
	DSE_SOAK_FORGED=1000 $(BIN)/python -m pytest -k test_forged
	$(BIN)/python -m tests.soak.hostile --cases 5000
	$(BIN)/python -m tests.soak.edges --workloads 10000 --designs 1000
	$(BIN)/python -m pytest $(SPREAD) --hypothesis-profile=random

mutation: $(INSTALLED)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[mutation]'
	$(BIN)/python tools/mutate.py reach
	$(BIN)/python tools/mutate.py run cost_models --count 300
	$(BIN)/python tools/mutate.py run dse --count 300

bench: $(INSTALLED)
	$(BIN)/python benchmarks/whole_run.py
	$(BIN)/python benchmarks/evaluator.py
	$(BIN)/python benchmarks/grid.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/encoder.py --sizes 4096

bench-search: $(INSTALLED)
	$(BIN)/python benchmarks/search.py --picture docs/pictures/search_hypervolume.png

studies: $(INSTALLED)
	$(BIN)/python -m studies
	$(BIN)/python -m studies.weight_formats

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	    --build-constraint constraints.txt --compile-bytecode --editable '.[dev]'
	$(BIN)/python -m compileall -q cost_models dse
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# make run    install into .venv and run the founding sweep
# make test   install into .venv and run the tests
# make check  lint, format and types
# make docs   build the documentation into site/
# make wheel  build the wheel and try it in an empty environment
# make lowest run the tests with the oldest versions that pyproject.toml allows; make lowest-quick a part of them
# make soak   kill searches, and fill their disk, at random moments, many times
# make bench  speed of the evaluator, as ratios, of a grid of 100 million designs, and of the encoders
# make bench-search  how near every sampler comes to an exact front, and how soon (minutes); the plot in docs/pictures
# make studies  write the studies in results/ anew from the sweeps and the models (minutes)

PYTHON ?= python3
LOWEST_PYTHON ?= $(PYTHON)
# Old versions are deprecated by the newest of what they themselves need.
OLD_WARNINGS := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test check lint types docs wheel lowest lowest-quick lowest-installed lock bench bench-search soak studies clean

run: $(INSTALLED)
	$(BIN)/dse run sweeps/mach1.yaml

test: $(INSTALLED)
	$(BIN)/python -m pytest

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
	$(BIN)/python -m build --wheel --outdir dist . >/dev/null
	$(PYTHON) -m venv --clear $(VENV)/wheel
	$(VENV)/wheel/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	$(VENV)/wheel/bin/python tests/wheel/try_wheel.py

lowest: lowest-installed
	$(VENV)/lowest/bin/python -m pytest -m 'not browser and not docs' $(OLD_WARNINGS)

# The tests that go through every library whose version has a bound: every verb, every sampler, the schema, the units.
lowest-quick: lowest-installed
	$(VENV)/lowest/bin/python -m pytest $(OLD_WARNINGS) \
	    $(addprefix tests/test_,front.py new_and_schema.py samplers.py units.py user_library.py verbs.py)

lowest-installed: $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(LOWEST_PYTHON) $(VENV)/lowest
	$(BIN)/uv pip install --quiet --python $(VENV)/lowest/bin/python --resolution lowest-direct --editable '.[test]'

# The versions that the tests were last run with, for installations that must be the same: pip install -c constraints.txt
lock: $(INSTALLED)
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --universal --extra dev pyproject.toml -o constraints.txt

soak: $(INSTALLED)
	DSE_SOAK_KILLS=300 $(BIN)/python -m pytest tests/test_kills.py
	DSE_SOAK_KILLS=60 $(BIN)/python -m pytest tests/test_search.py -k killed

bench: $(INSTALLED)
	$(BIN)/python benchmarks/evaluator.py
	$(BIN)/python benchmarks/grid.py
	$(BIN)/python benchmarks/encoder.py --sizes 4096

bench-search: $(INSTALLED)
	$(BIN)/python benchmarks/search.py --picture docs/pictures/search_hypervolume.png

studies: $(INSTALLED)
	$(BIN)/python -m dse.studies
	$(BIN)/python studies/compression.py

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

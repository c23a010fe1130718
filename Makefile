# make run    install into .venv and run the founding sweep
# make test   install into .venv and run the tests
# make check  lint, format and types
# make soak   kill searches at random moments, many times
# make bench  speed of the evaluator, as ratios, and of the encoders
# make studies  write the studies in results/ anew from the sweeps and the models (minutes)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test check lint types bench soak studies clean

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

soak: $(INSTALLED)
	DSE_SOAK_KILLS=60 $(BIN)/python -m pytest tests/test_search.py -k killed

bench: $(INSTALLED)
	$(BIN)/python benchmarks/evaluator.py
	$(BIN)/python benchmarks/encoder.py --sizes 4096

studies: $(INSTALLED)
	$(BIN)/python -m dse.studies
	$(BIN)/python studies/compression.py

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# make demo    install into .venv and train a network on handwritten digits
# make test    install the development extras and run the whole suite (WORKERS=2 processes)
# make check   formatting, lint, types, room contract
# make rows    which rows of docs/curriculum.md are proven by tests that ran and passed
# make breaks  break sixty features on purpose; the tests marked with their rows must notice
# make bench   every benchmark, with records (takes long)
# make table   steps and whole jobs against other libraries (extra `bench`), as the README shows them
# make fuzz    fuzz every reader and every file of a run (FORMAT=csv SECONDS=60; without FORMAT all of them)
# make kills   thirty kills of a training run, each resumed to equal bits

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: demo test check rows breaks bench table fuzz kills clean

demo: $(VENV)/.installed
	$(BIN)/chainrule fit digits

test: $(VENV)/.developing
	$(PYTEST)

check: $(VENV)/.developing
	$(BIN)/ruff format --check src tests benchmarks scripts fuzz docs
	$(BIN)/ruff check src tests benchmarks scripts fuzz docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q --no-header tests/test_house.py

rows: $(VENV)/.developing
	$(PYTEST) -q
	$(BIN)/python scripts/rows.py

breaks: $(VENV)/.developing
	$(BIN)/python scripts/mutate.py

bench: $(VENV)/.developing
	for claim in benchmarks/[a-z]*.py; do $(BIN)/python $$claim || exit 1; done

table: $(VENV)/.developing
	@$(PIP) --editable '.[bench]'
	$(BIN)/python benchmarks/steps_against_peers.py
	$(BIN)/python benchmarks/jobs_against_peers.py

FORMAT ?=
SECONDS ?= 20
fuzz: $(VENV)/.developing
	@$(PIP) --editable '.[fuzz]'
	$(BIN)/python -m fuzz.run $(addprefix --format ,$(FORMAT)) --seconds $(SECONDS) --jobs 2

kills: $(VENV)/.developing
	$(BIN)/python -m scripts.kills

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .rows build src/*.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chainrule needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing chainrule into $(VENV) (the first time takes some minutes: PyTorch is large)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.developing: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing chainrule with its development extras into $(VENV)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

# Everything here sets itself up: python3 and make are enough. The environment lives in .venv.
VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test lint bench sdks crash fuzz format clean
.DEFAULT_GOAL := help

help: ## list what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

demo: $(VENV)/installed ## four agents, every fault once, the findings and their pages
	$(BIN)/driftline demo $(ARGS)

test: $(VENV)/installed ## all tests: real engine, real exporters, real browser where there is one
	$(PYTEST) -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

bench: $(VENV)/installed ## ratios against baselines measured in the same run
	for script in bench/ingest.py bench/sdk_overhead.py; do $(BIN)/python $$script $(ARGS) || exit 1; done

sdks: $(VENV)/installed ## the SDK's tests on the oldest and the newest opentelemetry-sdk, in environments of their own
	$(BIN)/python tests/support/sdk_versions.py $(ARGS)

crash: $(VENV)/installed ## 200 servers killed at random moments, and what is left of what they acknowledged
	$(BIN)/python tests/support/crashing.py $(ARGS)

fuzz: $(VENV)/installed ## ten minutes of inputs that a fuzzer makes, on the OTLP receiver and into the engine
	$(BIN)/python tests/support/fuzzing.py build/fuzz/otlp -max_total_time=600 $(ARGS)
	$(BIN)/python tests/support/fuzzing.py --store build/fuzz/otlp

format: $(VENV)/installed ## let ruff lay out and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environment and everything built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# An editable install in strict mode links files one by one, so a new or vanished file asks for another install:
# the list of files is a prerequisite that changes only when its content does.
SOURCES := $(sort $(shell find sdk collector analyzers web cli examples -type f -not -name '*.pyc' 2>/dev/null))

$(VENV)/installed: pyproject.toml $(VENV)/files | $(VENV)/bin/python
	@echo "installing driftline and its dependencies (about 1 GB, most of it the embedded ClickHouse engine)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/files: FORCE | $(VENV)/bin/python
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "driftline needs Python 3.10 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make a virtual environment here; on Debian: apt-get install python3-venv" >&2; exit 1; }

FORCE:
.PHONY: FORCE help

# Every target sets up what it needs by itself; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/node/node_modules
SECONDS ?= 0
PORT ?= 8080
WORKERS ?= 2

.PHONY: help setup setup-test demo test check bench soak docs deb lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## everything the other targets need

$(VENV)/.ready: requirements-dev.lock pyproject.toml .ci/system-packages
	@.ci/system-packages base
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup-test: setup $(NODE)/.ready
	@.ci/link-pyscard $(VENV)

$(NODE)/.ready: tests/node/package-lock.json .ci/system-packages
	@.ci/system-packages test
	npm --prefix tests/node ci --no-audit --no-fund --ignore-scripts --loglevel error
	@touch $@

demo: setup ## simulated devices, an outage, everything delivered: SECONDS=20 stops by itself, PORT=8080 is the page
	$(BIN)/edge-agent --log-level warning demo --seconds $(SECONDS) --port $(PORT)

test: setup-test ## the whole test suite, real Mosquitto included; WORKERS=1 one test after the other
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

check: setup ## format, lint, types, import contracts, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

bench: setup-test ## the benchmarks beside their baselines: a table and bench.json
	$(BIN)/python tests/bench/run.py --to bench.json

soak: setup-test ## the long fault and fuzz runs; results into docs/robustness.md
	@.ci/system-packages soak
	$(BIN)/pytest -m soak --soak --timeout 14400 --results=docs/robustness.md

docs: setup ## regenerate the reference
	$(BIN)/python docs/generate.py

deb: setup ## the Debian package, for this release and architecture, into dist/
	@.ci/build-deb

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
		--extra web --extra zstd --extra broker --group dev pyproject.toml --output-file requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
		--extra web --extra zstd pyproject.toml --output-file requirements.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .venv-peers $(NODE) build dist bench.json .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

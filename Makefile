# Thin: every target is a command of `cryptoviz` or of a development tool. `make help` lists them.
SHELL := /bin/sh
PYTHON := .venv/bin/python
CRYPTOVIZ := $(PYTHON) -m cryptoviz.cli
READY := .venv/.ready
# Tests spend much of their time waiting: one process more than this has cores keeps two busy. Each has its own services.
WORKERS := 3
# These compute: a process for each of two cores.
FAST_WORKERS := 2
# These put a load on a whole platform, or take its speed away.
ALONE := tests/e2e tests/chaos tests/integration/test_ingestion_supervised.py

# Where this is set, each of the thousand processes that tests and Dagster start compiles our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## List every command
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): bootstrap.sh requirements/dev.txt pyproject.toml
	@sh bootstrap.sh $@ $(if $(filter demo up test chaos soak,$(MAKECMDGOALS)),services)

demo: $(READY) ## Start the whole platform on simulated exchanges: no key, no internet
	@$(CRYPTOVIZ) demo

up: $(READY) ## Start the whole platform on the real exchanges
	@$(CRYPTOVIZ) up

down: $(READY) ## Stop everything that was started
	@$(CRYPTOVIZ) down

restart: $(READY) ## Restart everything in the mode it was started in
	@$(CRYPTOVIZ) restart

status: $(READY) ## Show every part with age and lag; fails unless all is well
	@$(CRYPTOVIZ) status

logs: $(READY) ## Show the last lines of every log
	@$(CRYPTOVIZ) logs

reset: $(READY) ## Stop everything and delete its state, the database included (asks first)
	@$(CRYPTOVIZ) reset $(if $(YES),--yes)

check: $(READY) ## Format, lint, types and import rules
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

test-fast: $(READY) ## Unit and contract tests that need no service; a minute or two
	@.venv/bin/pytest -q -n $(FAST_WORKERS) --dist loadfile --no-loadscope-reorder -m "not services and not slow" tests/unit tests/contract

test: check ## Every check and test (WORKERS=1: one after the other)
	@$(CRYPTOVIZ) install
	@.venv/bin/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests $(ALONE:%=--ignore %)
	@.venv/bin/pytest -q $(ALONE)

chaos: $(READY) ## Kill and stop every process, take away every dependency, under load: what it costs (ONLY="kill broker")
	@$(CRYPTOVIZ) install
	@.venv/bin/pytest -q -s tests/chaos --chaos full --chaos-only "$(ONLY)"

soak: $(READY) ## Ten minutes of load with faults and kill -9: what was sent must be what is stored
	@$(CRYPTOVIZ) install
	@.venv/bin/pytest -q -s tests/e2e/test_exactly_once.py --load-seconds 600 --load-rate 2000

bench: $(READY) ## Every benchmark, each beside its baseline
	@.venv/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements/bench.txt
	@$(CRYPTOVIZ) install --bench
	@$(PYTHON) -m benchmarks

docs: $(READY) ## Write what is generated: .env.example, docker-compose.yml, sql/schema.sql, data dictionary
	@$(CRYPTOVIZ) docs

lock: $(READY) ## Resolve the requirements anew, with hashes
	@for name in base dev bench; do \
		.venv/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes \
			--custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

.PHONY: help demo up down restart status logs reset check test-fast test chaos soak bench docs lock

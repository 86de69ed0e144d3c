# Every target does its own set-up; the second run of each is fast and needs no network.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint chaos bench docs regen clean

PY := .venv/bin/python
ARGS ?=

help: ## Show this list
	@echo "make TARGET [ARGS=\"...\"]"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12

setup: ## Make .venv with everything that working on troth needs
	@sh scripts/setup.sh dev
	@echo "setup: ready; .venv/bin/troth --help, .venv/bin/python"

demo: ## A shop of eight processes takes a few hundred orders while they are killed (ARGS="--orders 100 --seed 7")
	@sh scripts/setup.sh run >&2
	@$(PY) -m examples.shop $(ARGS)

lint: ## ruff, mypy --strict, import-linter
	@sh scripts/setup.sh dev
	@echo "lint: ruff"
	@$(PY) -m ruff check --quiet
	@echo "lint: mypy --strict"
	@$(PY) -m mypy --no-error-summary
	@echo "lint: imports point down"
	@out=$$($(PY) -c 'from importlinter.cli import lint_imports_command as run; run()' --no-logo 2>&1) || { echo "$$out"; exit 1; }

test: lint ## lint, then every test: at most 8 minutes on 2 cores (ARGS="-k barrier")
	@echo "test: pytest on all cores"
	@$(PY) -m pytest -q -n logical --maxprocesses 8 --dist worksteal $(ARGS)

chaos: ## The same simulator, mutants and kill loop with far larger budgets (an hour; ARGS="-k simulation")
	@sh scripts/setup.sh dev
	@echo "chaos: large budgets, see tests/budget.py"
	@TROTH_CHAOS=1 $(PY) -m pytest -q -n logical --maxprocesses 8 --dist worksteal --timeout 7200 $(ARGS)

bench: ## troth, a bare loop and DBOS side by side, in one run (ARGS="--quick", "--only levels", "--json FILE")
	@sh scripts/setup.sh bench
	@.venv-bench/bin/python -m bench $(ARGS)

docs: regen ## Generate the docs' tables again, then run every snippet of README and docs
	@$(PY) -m pytest -q -n logical --maxprocesses 8 --dist worksteal tests/docs

regen: ## Write the generated parts of docs/ again (state tables, diagrams)
	@sh scripts/setup.sh dev
	@echo "regen: state tables from the rules"
	@$(PY) scripts/regen.py

clean: ## Remove environments, caches and build leftovers
	@rm -rf .venv .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

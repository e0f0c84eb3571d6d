# Every target says what it does, is safe to repeat, and is quick the second time.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-gpu lint format up down doctor app bench lock clean

export DO_NOT_TRACK := 1
export OMP_WAIT_POLICY ?= PASSIVE
# Without byte code kept, every command compiles torch and Prefect anew: 10 s each.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.ready

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | column -t -s $$'\t'

setup: $(STAMP) ## make the environment in .venv from the hash-locked requirements

$(STAMP): requirements.lock pyproject.toml
	@scripts/setup.sh "$(PYTHON)"

demo: $(STAMP) ## the whole job on street scenes it draws: dataset, grid of 4, scores, masks
	@$(BIN)/python scripts/demo.py

test: $(STAMP) ## all tests but the long proofs
	$(BIN)/python -m pytest -m "not slow and not gpu" -n 2 --dist loadfile --ignore tests/crash
	$(BIN)/python -m pytest -m "not slow and not gpu" tests/crash  # its forks need a fresh process

test-slow: $(STAMP) ## the long proofs
	$(BIN)/python -m pytest -m "slow and not gpu"

test-gpu: $(STAMP) ## the tests that need a GPU
	$(BIN)/python -m pytest -m gpu

lint: $(STAMP) ## ruff, mypy --strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## rewrite the files as ruff formats them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

up: $(STAMP) ## Prefect server, work pool, deployments and workers on this machine (WORKERS=trials at a time)
	@$(BIN)/python deployments/local.py up $(if $(WORKERS),--workers $(WORKERS))

down: $(STAMP) ## stop what `make up` started; running trials save first
	@$(BIN)/python deployments/local.py down

doctor: $(STAMP) ## is this machine fit: packages, GPU, disks, store, Prefect, workers, clock
	@$(BIN)/python deployments/doctor.py $(if $(STORE),--store $(STORE))

app: $(STAMP) ## the results app on http://127.0.0.1:5006 (STORE=folder or s3://...)
	$(BIN)/panel serve results_app.py --address 127.0.0.1 --port 5006 $(if $(STORE),--args --store $(STORE))

bench: $(STAMP) ## the benchmarks but bench_grid.py (over an hour); each ends with a line of JSON
	@for name in train store app; do echo "== bench_$$name.py"; $(BIN)/python benchmarks/bench_$$name.py; done

lock: $(STAMP) ## resolve pyproject.toml anew into requirements.lock
	@scripts/lock.sh

clean: ## remove the environment and what tools left; stores, masks and data stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The project's commands; `make` lists them. Each makes the environment it needs, once, from the locks.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench chaos soak lock docs fix clean environment-demo environment-dev

DEV := .venv/dev/bin/python

help:           ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: environment-demo  ## the example mesh on real data, served until Ctrl-C (ONCE=1: load, print, leave nothing; PORT=n)
	@exec .venv/demo/bin/tulle demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: environment-dev   ## all tests (ONLY=tests/storage, ARGS="-k retract -x")
	@exec $(DEV) -m pytest $(ONLY) $(ARGS)

lint: environment-dev   ## style, and the house numbers as limits
	@$(DEV) -m ruff check && $(DEV) -m ruff format --check --quiet

types: environment-dev  ## strict types
	@exec $(DEV) -m mypy

fix: environment-dev    ## what a machine can mend of style
	@$(DEV) -m ruff check --fix --quiet; $(DEV) -m ruff format --quiet

bench: environment-dev  ## a line per bar: name, measured, bar, ok or short (ONLY=mesh, JSON=file)
	@exec $(DEV) -m bench $(ONLY) $(if $(JSON),--json $(JSON))

chaos: environment-dev  ## kill processes at random instants, many times (KILLS=50, SEED=n)
	@exec $(DEV) -m pytest -m chaos --kills $(or $(KILLS),50) $(if $(SEED),--chaos-seed $(SEED)) --timeout 3600

soak: environment-dev   ## run the mesh for a while and look for growth (SOAK=seconds)
	@exec $(DEV) -m pytest -m soak --soak-seconds $(or $(SOAK),600) --timeout 7200

lock: environment-dev   ## write the locks anew, keeping versions (UPGRADE=1: the newest that pyproject.toml allows)
	@requirements/lock .venv/dev/bin/uv

docs: environment-dev   ## generate docs/reference from the code
	@exec $(DEV) docs/generate.py

clean:          ## remove what these commands made, but for .tulle (the demo's state)
	@rm -rf .venv dist build docs/reference .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment-demo:
	@requirements/install demo

environment-dev:
	@requirements/install dev

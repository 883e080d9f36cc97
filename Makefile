# Two commands are all that a fresh machine needs: `make demo` and `make test`. Each makes its environment by itself.
#
#   make env TORCH=cpu     torch and torchvision without CUDA, from PyTorch's own index (smaller)
#   make env TORCH=cu126   another CUDA build (any value that uv's --torch-backend knows)

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo demo-loop test test-all test-servers lint repro env pages lock clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
UV := $(shell command -v uv || echo .cache/uv/bin/uv)
TORCH ?= lock
READY := $(VENV)/.ready-$(TORCH)

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(READY)  ## blur a small day of real photographs and look at the result
	@$(BIN)/python -m flows.demo

demo-loop: $(READY)  ## the monthly loop on rendered pictures, with a scripted labeller, in at most ten minutes
	@$(BIN)/python -m flows.demo_loop $(if $(DATA),--data $(DATA)) $(if $(LABELS),--labels $(LABELS)) $(if $(OVERRIDE),--override "$(OVERRIDE)")

test: $(READY)  ## the tests, in at most ten minutes on two cores
	@$(BIN)/pytest -n 2 --dist worksteal

test-all: $(READY)  ## the tests with the slow ones, those with servers last
	@$(BIN)/pytest -n 2 --dist worksteal -m "not servers" --timeout 3600
	@scripts/install-test-servers
	@$(BIN)/pytest -m "servers and slow" --timeout 3600

test-servers: $(READY)  ## the tests that need real servers and a browser; installs what is missing (Debian)
	@scripts/install-test-servers
	@$(BIN)/pytest -m "servers and not slow"

lint: $(READY)  ## ruff, mypy and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

repro: $(READY)  ## recompute what changed of the chain on rendered pictures; docs/retrain.md has the full one
	@PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro shipped bias@rendered sweep@rendered

pages: $(READY)  ## open the Prefect and MLflow pages on this machine
	@$(BIN)/python -m flows.pages

env: $(READY)  ## only the environment, .venv

lock: $(READY)  ## resolve pyproject.toml anew into requirements.lock
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --upgrade --quiet --output-file requirements.lock

clean:  ## remove the environment and everything that the demo made
	rm -rf $(VENV) .cache data/demo

# Downloaded once, then kept: the environment is made anew only when the lock changes.
$(READY): requirements.lock pyproject.toml | $(UV)
	@echo "Making the environment in $(VENV): several GB on the first time, see README.md"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
ifeq ($(TORCH),lock)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
else
	@mkdir -p .cache && scripts/lock-without-torch requirements.lock > .cache/requirements-no-torch.lock
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes .cache/requirements-no-torch.lock
	@$(UV) pip install --quiet --python $(BIN)/python --torch-backend $(TORCH) \
		$$(grep -oE '^(torch|torchvision)==[^ ]+' requirements.lock)
endif
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.ready-* && touch $@

.cache/uv/bin/uv:
	@echo "Fetching uv"
	@$(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.8,<1"

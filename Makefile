# Two commands for a fresh machine: `make demo` (the whole way on the drawn world) and `make test`.
# Each makes .venv and installs what it needs, pinned by .ci/constraints.txt.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
# Packages are byte-compiled as they are first imported, not all 7 GB of them. Without bytecode every command that a test
# starts would compile torch, transformers and diffusers anew: 15 of the 35 CPU seconds of a small `recaptrain generate`.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(VENV)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint .ci/constraints.txt

export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-slow lint format wheel clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[view,train,hub]'
	@touch $@

$(VENV)/.test: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable '.[all,dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## Install, then run the whole way into demo/
	$(VENV)/bin/recapdata demo --out demo

# Two workers take whole files.
PYTEST := $(VENV)/bin/python -m pytest -n 2 --dist loadfile

test: $(VENV)/.test ## Install, then run the tests
	$(PYTEST) -m 'not slow'

test-slow: $(VENV)/.test ## Run the tests that take long
	$(PYTEST) -m slow

lint: $(VENV)/.test ## Lint, format check, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.test ## Format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

wheel: $(VENV)/.test ## Build the wheel into dist/
	$(VENV)/bin/python -m build --wheel

clean: ## Remove what the targets made
	rm -rf $(VENV) demo dist build

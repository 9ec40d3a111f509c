# make setup   install everything; safe to repeat
# make demo    synthesise, train, test and draw one family, or FAMILY=all
# make test    set up, check style and types, run the tests
# make test-slow   the tests that are marked slow, before a release
# make campaign    damaged files, kills, full disks, dead processes: an hour
# make docs    write the generated pages, build the documentation
#
# PYTHON names the interpreter that makes the environment, VENV its folder.
# An active virtual or conda environment is added to instead of making one;
# conda's base is not taken for one.

VENV ?= $(or $(VIRTUAL_ENV),$(if $(filter-out \
	base,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX)),.venv)
PYTHON ?= $(or $(realpath $(VENV)/bin/python),python3)
FAMILY ?= direction
RUN := "$(VENV)/bin/python"
# Files that share fixtures stay together, those with long ones come first.
PYTEST := -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

.PHONY: help setup campaign demo docs lint test test-slow

help:
	@sed -n '/^$$/q; s/^# *//p' Makefile

setup:
	@"$(PYTHON)" requirements/install.py --venv "$(VENV)"

demo: setup
	@$(RUN) tools/demo.py --family $(FAMILY)

docs: setup
	@$(RUN) -m docs.generate
	@$(RUN) -m sphinx -W --keep-going docs docs/_build

lint: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

test: lint
	@$(RUN) $(PYTEST) -m "not slow"

test-slow: setup
	@$(RUN) $(PYTEST) -m slow

campaign: setup
	@$(RUN) -m tests.campaigns $(CAMPAIGN)

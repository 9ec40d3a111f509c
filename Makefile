# make setup   install everything; safe to repeat
# make demo    synthesise, train, test and draw one family, or FAMILY=all
# make test    set up, check style and types, run the tests
#
# PYTHON names the interpreter that makes the environment, VENV its folder.
# An active virtual or conda environment is added to instead of making one;
# conda's base is not taken for one.

VENV ?= $(or $(VIRTUAL_ENV),$(if $(filter-out \
	base,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX)),.venv)
PYTHON ?= $(or $(realpath $(VENV)/bin/python),python3)
FAMILY ?= direction
RUN := "$(VENV)/bin/python"

.PHONY: help setup demo lint test

help:
	@sed -n '/^$$/q; s/^# *//p' Makefile

setup:
	@"$(PYTHON)" requirements/install.py --venv "$(VENV)"

demo: setup
	@$(RUN) tools/demo.py --family $(FAMILY)

lint: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

test: lint
	@$(RUN) -m pytest -n 2 --dist loadgroup

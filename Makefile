# make demo: see the whole of headstart at work.   make test: run every check.
# Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

# what the browser tests judge accessibility with; they say so where it is missing
AXE := axe-core@4.14.1

.PHONY: demo test clean

demo: .venv/installed-cpu
	$(BIN)/headstart demo

test: .venv/installed-dev .venv/installed-axe
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

clean:
	rm -rf .venv

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headstart needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed-cpu: .venv/created pyproject.toml constraints.txt
	@echo 'Installing headstart into .venv: a few minutes the first time.'
	$(PIP) --editable '.[cpu]'
	@touch $@

.venv/installed-dev: .venv/created pyproject.toml constraints.txt
	@echo 'Installing headstart and its tests into .venv: a few minutes the first time.'
	$(PIP) --editable '.[cpu,dev]'
	@touch .venv/installed-cpu $@

.venv/installed-axe: .venv/created Makefile
	@if command -v npm >/dev/null && npm install --prefix .venv/node --no-save --no-package-lock --no-audit --no-fund \
	  --loglevel=error $(AXE); then touch $@; else echo 'Without npm the accessibility of the report is not judged.'; fi

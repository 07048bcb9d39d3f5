# make demo   the whole cycle on this machine, with phantom scans and a sandbox server
# make test   everything that a change must pass
#
# Both make their own virtual environment in .venv; PYTHON=... chooses the interpreter.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

CANDIDATES := python3.13 python3.12 python3.11 python3 python
RECENT := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test torture bench format clean

demo: $(VENV)/.ready-demo
	$(BIN)/drawcli demo $(DEMO)

test: $(VENV)/.ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=90 $(PYTEST)

# The long form of the crash tests and of the proof of de-identification: more than 2,000 kills, every
# effect of a cycle failing, 20,000 damaged files; then faults are planted, and the tests must see them.
torture: $(VENV)/.ready-test
	TORTURE=40 $(BIN)/pytest -q -s tests/torture tests/ledger tests/deidentification tests/test_server_faults.py
	$(BIN)/python -m tests.torture.mutations

# How fast and how large de-identification is, against its floors and the tools of today.
bench: $(VENV)/.ready-test
	$(PIP) install --editable '.[bench]'
	$(BIN)/python bench/deidentify.py $(BENCH)
	$(BIN)/python bench/reidentify.py
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/preview.py
	$(BIN)/python bench/rules.py
	$(BIN)/python bench/scan.py
	$(BIN)/python bench/status.py
	$(BIN)/python bench/upload.py

format: $(VENV)/.ready-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

$(VENV)/.ready-test: pyproject.toml | $(VENV)/.made
	$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.ready-demo: pyproject.toml | $(VENV)/.made
	$(PIP) install --editable '.[web]'
	@touch $@

$(VENV)/.made:
	@python=''; \
	for name in $(or $(PYTHON),$(CANDIDATES)); do \
	  if [ -z "$$python" ] && $$name -c '$(RECENT)' 2>/dev/null; then python=$$name; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'drawcli needs Python 3.11 or newer. Debian, Ubuntu: apt install python3 python3-venv;' \
	    'macOS: brew install python. Or name one: make PYTHON=/path/to/python3 ...' >&2; exit 1; \
	fi; \
	if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$python lacks venv. Debian, Ubuntu: apt install python3-venv." >&2; exit 1; \
	fi; \
	$$python -m venv $(VENV)
	@touch $@

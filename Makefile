# make demo   the whole cycle on this machine, with phantom scans and a sandbox server
# make test   format, lint, types and the tests: a change must pass them; five minutes on two cores
# make sweep  what takes longer: each fault of the server, a kill at each effect, damaged files, the
#             documents typed into a shell, the wheel, Debian's cron (as root); ten minutes
# make docs   the documentation as a site, in site/
#
# All make their own virtual environment in .venv; PYTHON=... chooses the interpreter.

SHELL := /bin/sh
# Compiled modules are kept, whatever the environment says: each process of the tests starts sooner.
export PYTHONDONTWRITEBYTECODE :=
# One test process more than cores, four at most: many tests wait for a process or a deadline.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
, := ,
# uv installs in a tenth of the time of pip, which does it where uv cannot.
define install
$(PIP) install uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '$(1)' \
  || $(PIP) install --editable '$(1)'
endef
COMPILED := $(BIN)/python -m compileall -q drawcli tests
PYTESTS := $(COMPILED) && $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

CANDIDATES := python3.13 python3.12 python3.11 python3 python
RECENT := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test types units coverage sweep torture fuzz mutants cron audit lock release vex sign bench docs format clean

demo: $(VENV)/.ready-demo
	$(BIN)/drawcli demo $(DEMO)

test: $(VENV)/.ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory --jobs 2 types units

types: $(VENV)/.ready-test
	$(BIN)/mypy

units: $(VENV)/.ready-test
	$(PYTESTS) -m 'not sweep' $(PYTEST)

# Which lines the tests of `make test` reach, in all processes: twice their time.
coverage: $(VENV)/.ready-test
	$(PYTESTS) -m 'not sweep' --cov --cov-report=term:skip-covered --cov-fail-under=90

sweep: $(VENV)/.ready-test
	$(PYTESTS) -m sweep $(PYTEST)

# The long form of the crash tests and of the proof of de-identification: more than 2,000 kills, every
# effect of a cycle failing, 20,000 damaged files; then faults are planted, and the tests must see them;
# at the end ten minutes of fuzzing for each target.
torture: $(VENV)/.ready-test
	RANDOM=1 TORTURE=40 $(BIN)/pytest -q -s tests/torture tests/adapters/ledger tests/leases tests/deidentification tests/test_server_faults.py tests/test_bad_network.py tests/fuzz
	$(BIN)/python -m tests.torture.mutations
	DOCS=long $(BIN)/pytest -q tests/documents
	$(MAKE) --no-print-directory fuzz

# Fuzz every reader of bytes from outside (network, images, zips, edited files, exports) with atheris.
# FUZZ names targets and other options, such as FUZZ="association --seconds 60".
fuzz: $(VENV)/.ready-test
	$(call install,.[dev$(,)fuzz])
	$(BIN)/python -m tests.fuzz $(FUZZ)

# Change the code of core/deid, core/gate, core/rtstruct and core/jobs in small ways: the tests or mypy must
# refuse each change, or it has a reason in tests/mutation/survivors. Takes hours. MUTANTS names packages and
# options, such as MUTANTS="jobs --keep".
mutants: $(VENV)/.ready-test
	$(call install,.[dev$(,)mutation])
	$(BIN)/python -m tests.mutation $(MUTANTS)

# Debian's cron runs a site, from the first scan to the structure set, then mails what is wrong: three
# minutes of waiting. It needs root and cron, and leaves the machine's own crontabs alone.
cron: $(VENV)/.ready-test
	$(BIN)/pytest -q tests/torture/test_real_cron.py

# What tools find that look for faults of security: in the code, in the Dockerfile, and in what is
# installed with drawcli (this one asks the internet).
audit: $(VENV)/.ready-release
	$(BIN)/bandit --quiet -ll --recursive drawcli --configfile pyproject.toml
	$(BIN)/hadolint packaging/Dockerfile
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement packaging/requirements.lock

# The versions that a site gets who installs by digests.
lock: $(VENV)/.ready-release
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --extra web --extra follow --extra keyring --extra notify --extra dicom-net --extra decompress \
	  --extra qa --extra cluster \
	  pyproject.toml --output-file packaging/requirements.lock

# All that a release consists of, in dist/: wheel, sdist, SBOM, the site of documents (zipped), and the
# digests of these. The wheel is installed into empty environments: each Python on this machine, each extra.
release: $(VENV)/.ready-release
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/uv venv --quiet dist/sbom
	$(BIN)/uv pip install --quiet --python dist/sbom --require-hashes -r packaging/requirements.lock
	$(BIN)/uv pip install --quiet --python dist/sbom --no-deps dist/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/drawcli-sbom.cdx.json dist/sbom
	rm -rf dist/sbom
	$(MAKE) docs
	$(BIN)/python -m zipfile --create dist/drawcli-documents.zip site
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python packaging/everywhere.py dist/*.whl --lock packaging/requirements.lock
	cd dist && $$(command -v sha256sum || echo shasum -a 256) *.whl *.gz *.json *.zip > SHA256SUMS

# What is publicly known about the locked packages, with our assessment; it asks the internet.
vex: $(VENV)/.ready-release
	$(BIN)/python packaging/vex.py packaging/requirements.lock packaging/vex.yaml dist/drawcli-vex.cdx.json

# The digests of what a release consists of, and their signature, verified as a hospital does it:
# make sign KEY=FILE. It needs `make release vex` first.
DIST := dist
SIGNERS := packaging/allowed_signers
sign:
	@test -n '$(KEY)' || { echo 'name the private key: make sign KEY=FILE' >&2; exit 2; }
	@test -s '$(SIGNERS)' || { echo '$(SIGNERS) is missing: see docs/hospital/releases.md' >&2; exit 2; }
	@test -s '$(DIST)/drawcli-vex.cdx.json' || { echo 'no VEX: make vex' >&2; exit 2; }
	rm -f '$(DIST)/SHA256SUMS.sig'
	cd '$(DIST)' && $$(command -v sha256sum || echo shasum -a 256) *.whl *.gz *.json *.zip > SHA256SUMS
	ssh-keygen -Y sign -q -n drawcli-release -f '$(KEY)' '$(DIST)/SHA256SUMS'
	ssh-keygen -Y verify -f '$(SIGNERS)' -I releases -n drawcli-release -s '$(DIST)/SHA256SUMS.sig' \
	  < '$(DIST)/SHA256SUMS' || { rm -f '$(DIST)/SHA256SUMS.sig'; exit 1; }

# How fast and how large everything is, beside its floor and beside the tools of today; a table and
# plots in build/bench, and the ratios held against docs/bench-reference.json. BENCH="--only scan" runs
# one, BENCH=--keep makes the run the reference: on a machine that does nothing else.
bench: $(VENV)/.ready-test
	$(call install,.[bench])
	$(BIN)/python bench/all.py $(BENCH)

# Warnings are errors. What is built needs no internet: open site/index.html. Only its search needs a web
# server, such as python3 -m http.server -d site.
docs: $(VENV)/.ready-test
	$(call install,.[docs])
	$(BIN)/python -m tests.reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/.ready-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

$(VENV)/.ready-test: pyproject.toml | $(VENV)/.made
	$(call install,.[dev])
	@touch $@

$(VENV)/.ready-release: pyproject.toml | $(VENV)/.made
	$(call install,.[dev$(,)release])
	@touch $@

$(VENV)/.ready-demo: pyproject.toml | $(VENV)/.made
	$(call install,.[web])
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

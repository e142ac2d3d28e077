# `make build` and `make test` do everything on a machine with Python 3.11 and make.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO := data/demo/truth.parquet
BUILT_DEMO := target/test.duckdb

# The make of macOS cannot keep apart what two jobs print.
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync)

# Settings of a build as YAML, for example: make build VARS='{lookback_days: 30}'
VARS ?= {}

# Touchpoints of the benchmark.
SIZES ?= 1e5,1e6,1e7,1e8

.DEFAULT_GOAL := help
.PHONY: help build test built-demo battery lint bench docs lock audit clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

# The demo is made only where it takes part: in VARS, else in TRIBUTARY_SOURCES, else by default.
SOURCES := $(if $(findstring sources:,$(VARS)),$(VARS),$(or $(TRIBUTARY_SOURCES),demo))
ifneq (,$(findstring demo,$(SOURCES)))
build: $(DEMO)
endif

build: $(INSTALLED) ## build and publish the warehouse, and print the channel report
	$(BIN)/tributary build --vars '$(VARS)'
	$(BIN)/tributary report

test: $(INSTALLED) $(DEMO) ## lint, dbt unit and data tests on the demo, pytest
	@echo "Style and types, and dbt build on the demo: models, unit tests and data tests …"
	$(MAKE) --jobs 2 $(OUTPUT_SYNC) lint built-demo
	@# What builds warehouses first: files of few and long tests at the end leave a processor idle.
	BUILT_DEMO=$(BUILT_DEMO) $(BIN)/pytest --numprocesses 2 --dist loadscope \
		--no-loadscope-reorder tests/warehouse tests/library

built-demo: $(INSTALLED) $(DEMO)
	@mkdir -p target
	TRIBUTARY_SOURCES=demo TRIBUTARY_WAREHOUSE=$(BUILT_DEMO) $(BIN)/dbt --quiet build \
		--selector everything

battery: $(INSTALLED) ## do every fault on purpose, half an hour: writes docs/reliability.md
	$(BIN)/pytest --battery=docs/reliability.md --numprocesses 2 --dist loadscope \
		--no-loadscope-reorder

lint: $(INSTALLED) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	TRIBUTARY_SOURCES=demo,files,ihc TRIBUTARY_WAREHOUSE=:memory: DBT_TARGET_PATH=target/lint \
		$(BIN)/sqlfluff lint --processes 2

bench: $(INSTALLED) ## time the build at several sizes (hours, tens of GB; SIZES=1e5,1e6: minutes)
	$(BIN)/tributary benchmark build --sizes $(SIZES) --output docs/performance.md

docs: $(INSTALLED) $(DEMO) ## make the lineage site, one file: target/static_index.html
	$(BIN)/dbt docs generate --static
	@echo 'The lineage site is target/static_index.html: open it in a browser.'

lock: $(INSTALLED) ## pin every dependency anew after a change of pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --upgrade \
		--custom-compile-command 'make lock' --output-file requirements.lock

audit: $(INSTALLED) ## look up known vulnerabilities of every pinned dependency (asks osv.dev)
	$(BIN)/uv tool run pip-audit@2.10.1 --requirement requirements.lock --disable-pip --strict \
		--vulnerability-service osv

clean: ## remove what was made: environment, demo input, warehouse, dbt's output
	rm -rf .venv data/demo target logs .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf warehouse/*.duckdb warehouse/*.duckdb.wal warehouse/current warehouse/generations
	rm -rf warehouse/runs.jsonl warehouse/.partial-* warehouse/.build.lock
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/tributary.egg-info

$(INSTALLED): requirements.lock pyproject.toml
	@echo 'Creating the environment in .venv (about a minute, once) …'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -c "import duckdb, duckdb_extensions as e; \
		e.import_extension('sqlite', con=duckdb.connect(config={ \
		'extension_directory': '.venv/duckdb_extensions'}))"
	@touch $@

$(DEMO): src/tributary/simulation.py src/tributary/customer_records.py | $(INSTALLED)
	$(BIN)/tributary simulate

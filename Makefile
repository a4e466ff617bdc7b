# Everything is set up in this folder: .venv (the project), .venv-emulator (the AWS emulator),
# .aws-sam (what sam build makes), .local (the running stack and its logs).
# It runs with make 3.81 and bash 3.2, as macOS has them: tests/unit/architecture/test_makefiles.py.
SHELL := /bin/bash
PYTHON ?= python3.13
EMULATOR_PORT ?= 4566
SIMULATOR_PORT ?= 8085
export EMULATOR_PORT SIMULATOR_PORT SKYCORE_URL PARAMETERS
BIN := .venv/bin
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/skycore:$(CURDIR)/simulator:$(CURDIR)/clients/python/src

# What people type first; `make help` lists the others below.
FIRST := run up down test
.PHONY: help
help: ## List the commands
	@echo "Start with:"
	@for name in $(FIRST); do awk -F ':.*## ' -v name=$$name '$$1 == name { $(HELP_LINE) }' $(MAKEFILE_LIST); done
	@echo "Other commands:"
	@awk -F ':.*## ' -v first=' $(FIRST) ' '/^[a-z-]+:.*## / && !index(first, " " $$1 " ") { $(HELP_LINE) }' $(MAKEFILE_LIST)
HELP_LINE := printf "  %-17s %s\n", $$1, $$2

.PHONY: run up down
run: setup ## See it work: send an SMS and an MMS, read the events and timelines, then stop
	@$(BIN)/python -m local run

up: setup ## Start the local stack, or update it, and leave it running
	@$(BIN)/python -m local up

down: ## Stop the local stack and delete its data
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local down; fi

.PHONY: test test-in-process test-stack test-build test-long
test: setup .venv-schemathesis/.ready zsh lint ## Run everything that must pass before a merge (takes minutes)
	@echo "running in parallel, each shown when it is done (takes minutes): $(TEST_PARTS)"
	@$(MAKE) --no-print-directory --keep-going --jobs=3 $(OUTPUT_SYNC) $(TEST_PARTS)

# In the order in which they start, three at a time: two mostly wait for the stacks that they deploy.
TEST_PARTS := test-stack test-page test-in-process test-table types template-checks test-build

# Keeps the output of parallel targets apart. make 3.81 does not have it.
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: format lint types template-checks
format: setup ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lint: setup ## Check style and formatting with ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup ## Check types with mypy
	@$(BIN)/mypy

template-checks: setup .venv-checkov/.ready ## Check template.yaml with sam validate, cfn-lint and checkov; offline
	@AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint
	@$(BIN)/cfn-lint --config-file .cfnlintrc.yaml
	@.venv-checkov/bin/checkov --config-file .checkov.yaml

IN_PROCESS := simulator/tests clients/python/tests tests/unit tests/contract tests/template tests/chaos/test_fault_table.py tests/chaos/test_long_waits.py tests/chaos/test_storm_in_process.py
test-in-process: setup ## Run the tests without a stack, on every core
	@$(BIN)/pytest -m "not long" -rs -n auto --dist worksteal $(IN_PROCESS)

test-stack: setup .venv-schemathesis/.ready ## Test the deployed local stack
	@$(BIN)/pytest -m "not long" tests/integration

test-build: setup ## Test the layers: reproducible builds, contents, hashes and licences
	@$(BIN)/pytest -m "not long" tests/build

test-long: setup .venv-schemathesis/.ready .venv-awscli/.ready .venv-generators/.ready ## Run the tests that take hours, or one part with PART=tests/chaos (CONTRIBUTING.md lists them)
	@$(BIN)/pytest -m long --ignore tests/browser $(or $(PART),tests simulator/tests)
	@$(if $(PART),,$(MAKE) --no-print-directory test-services)

# make test runs the table's own tests on AWS's DynamoDB Local. Other tests that use a table have a
# fake one, which evaluates expressions too; make test-long runs them on DynamoDB Local.
ON_DYNAMODB_LOCAL := $(BIN)/pytest -m "not long" -rs -n 2 --dynamodb-local
.PHONY: test-table test-services
test-table: setup ## Test the table on AWS's DynamoDB Local, and the functions with it and moto (needs java and npm)
	@$(ON_DYNAMODB_LOCAL) tests/services tests/unit/table

test-services: setup ## Run all unit tests that use a table on AWS's DynamoDB Local (needs java and npm)
	@$(ON_DYNAMODB_LOCAL) tests/unit/sending tests/unit/receiving tests/unit/queries

.PHONY: test-page
test-page: setup .venv-browser/.ready ## Test the page in a real browser (CHROMIUM=/path/to/chromium)
	$(install-chromium)
	@.venv-browser/bin/pytest -rs tests/browser

.PHONY: bench
bench: setup ## Measure starts, requests, costs, scale and growth (takes minutes); DOCS=1 writes the docs' tables
	@$(BIN)/python -m bench $(if $(DOCS),--docs)

.PHONY: setup
setup: .venv/.ready .venv-emulator/.ready ## Create the virtual environments; other commands do this when needed

# .venv has requirements/dev.txt, .venv-NAME has requirements/NAME.txt.
.venv/.ready: requirements/dev.txt .python-version
	$(make-venv)

.venv-%/.ready: requirements/%.txt .python-version
	$(make-venv)

define make-venv
@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then \
  echo "setting up $(@D) (once, about a minute)"; $(PYTHON) -m venv --clear $(@D); \
elif command -v uv >/dev/null; then \
  echo "setting up $(@D) with Python 3.13 from uv (once, about a minute)"; \
  rm -rf $(@D); uv venv --quiet --seed --python 3.13 $(@D); \
else \
  echo "Python 3.13 is missing: $(GET_PYTHON)" >&2; exit 1; \
fi
@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
@touch $@
endef
GET_PYTHON := install uv, and make gets it; or run brew install python@3.13 or pyenv install 3.13; or pass PYTHON=/path/to/python3.13

# Debian packages that tests need. make installs them as root, as CI does; elsewhere you install them.
# test-page runs the recipe itself: with chromium as a prerequisite, make would start it last.
.PHONY: chromium zsh
chromium:
	$(install-chromium)

zsh:
	$(call install-package,zsh,zsh)

install-chromium = $(call install-package,chromium,$$CHROMIUM chromium chromium-browser google-chrome)

define install-package
@if ! command -v $(2) >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
  echo "installing $(1) (once)"; apt-get update -qq && apt-get install -y -qq $(1) >/dev/null; \
fi || true
endef

.PHONY: openapi screenshot
openapi: setup ## Write openapi.yaml from the catalogue of actions
	@$(BIN)/python -m local.openapi

screenshot: setup .venv-browser/.ready chromium ## Create docs/page.png, the picture of the page in README.md
	@.venv-browser/bin/python -m tests.browser.screenshot

.PHONY: package
package: setup ## Build .local/package: a zip of the built template with its code, checksums and SBOM
	@$(BIN)/python -m local.package

.PHONY: sbom
sbom: setup ## Write .local/sbom/sbom.cdx.json: the packages that ship, with licences and hashes
	@rm -rf .local/sbom && mkdir -p .local/sbom
	@$(MAKE) --no-print-directory -C layers/dependencies build-DependenciesLayer \
	  PYTHON="$(CURDIR)/$(BIN)/python" ARTIFACTS_DIR="$(CURDIR)/.local/sbom"

.PHONY: audit
AUDITED := layers/dependencies/requirements.txt $(wildcard requirements/*.txt)
audit: setup $(if $(DATABASE),,.venv-audit/.ready) ## Check packages for known vulnerabilities, online or with DATABASE=a copy of PyPA's advisories
ifdef DATABASE
	@$(BIN)/python -m local.advisories $(DATABASE)
else
	@status=0; for lock in $(AUDITED); do echo "$$lock"; \
	  .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$lock || status=1; \
	done; exit $$status
endif

# Every platform's packages, with the hash of each of their files: pip refuses any other file.
# No line names a registry, so that each clone uses its own. Versions stay, but for UPGRADE=1.
LOCK := uv pip compile -q --universal --python-version 3.13 --generate-hashes --no-header --no-annotate
.PHONY: lock clean
lock: ## Lock requirements/*.in with hashes; UPGRADE=1 updates versions (needs uv: pip install uv)
	@for name in dev schemathesis browser checkov emulator awscli generators audit; do \
	  $(LOCK) $(if $(UPGRADE),--upgrade) requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done
	@$(LOCK) -c requirements/dev.txt requirements/fuzz.in -o requirements/fuzz.txt
	@$(LOCK) -c requirements/dev.txt layers/dependencies/requirements.in -o layers/dependencies/requirements.txt

clean: down ## Remove everything that was set up or built
	@rm -rf .venv .venv-* .aws-sam .local

.PHONY: ops replay reconcile
OPS := $(BIN)/python -m ops $(if $(STACK),--stack $(STACK))
ops: setup ## Run the operator's tool: make ops ARGUMENTS="dlq list" STACK=name (default: the local stack), or make status
	@$(OPS) $(if $(ARGUMENTS),$(ARGUMENTS),--help)

# Each command by its name too, as make status, or make message ARGUMENTS=ID.
OPERATIONS := status doctor tail messages message unparsed changes dlq suppress person resume resolve send-test export restore set-key postback-url rotate-token
.PHONY: $(OPERATIONS)
$(OPERATIONS): setup
	@$(OPS) $@ $(ARGUMENTS)

reconcile: setup ## Backfill delivery statuses from Skycore's report (STACK=name, SINCE=time, UNTIL=time)
	@$(OPS) reconcile $(if $(SINCE),--since $(SINCE)) $(if $(UNTIL),--until $(UNTIL)) $(ARGUMENTS)

replay: setup ## Read unparsed postbacks again, or publish events again with SINCE=time (STACK, UNTIL, TYPE)
	@$(OPS) replay $(if $(SINCE),--since $(SINCE)) $(if $(UNTIL),--until $(UNTIL)) $(if $(TYPE),--type $(TYPE)) $(ARGUMENTS)

.PHONY: fuzz
RUNS ?= 200000
fuzz: setup .venv-fuzz/.ready ## Fuzz the postback parser with RUNS=200000 inputs: random bytes, then damaged bodies
	@mkdir -p .local/fuzz
	@.venv-fuzz/bin/python tests/fuzz/fuzz_intake.py -runs=$(RUNS) -max_len=65536 -timeout=30 -rss_limit_mb=2048 -artifact_prefix=.local/fuzz- .local/fuzz tests/contract/postbacks
	@$(BIN)/python -m tests.fuzz.damage $(RUNS)

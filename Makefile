# Everything is set up in this folder: .venv (the project), .venv-emulator (the AWS emulator),
# .aws-sam (what sam build makes), .local (the running stack and its logs).
SHELL := /bin/bash
PYTHON ?= python3.13
EMULATOR_PORT ?= 4566
SIMULATOR_PORT ?= 8085
export EMULATOR_PORT SIMULATOR_PORT SKYCORE_URL PARAMETERS
BIN := .venv/bin
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/skycore

.PHONY: help run up down test test-long lint types unit template-checks clean lock
help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: setup ## See the whole thing work: send, postbacks, events, timelines; then stop
	@$(BIN)/python -m local run

up: setup ## Bring the local stack up, or update it, and leave it running
	@$(BIN)/python -m local up

down: ## Stop the local stack
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local down; fi

.PHONY: setup
setup: .venv/.ready .venv-emulator/.ready

.venv/.ready: requirements/dev.txt .python-version
	@echo "setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

.venv-emulator/.ready: requirements/emulator.txt .python-version
	@echo "setting up .venv-emulator (once)"
	@$(PYTHON) -m venv --clear .venv-emulator
	@.venv-emulator/bin/pip install --quiet --disable-pip-version-check -r requirements/emulator.txt
	@touch $@

.venv-schemathesis/.ready: requirements/schemathesis.txt .python-version
	@echo "setting up .venv-schemathesis (once)"
	@$(PYTHON) -m venv --clear .venv-schemathesis
	@.venv-schemathesis/bin/pip install --quiet --disable-pip-version-check -r requirements/schemathesis.txt
	@touch $@

.venv-browser/.ready: requirements/browser.txt .python-version
	@echo "setting up .venv-browser (once)"
	@$(PYTHON) -m venv --clear .venv-browser
	@.venv-browser/bin/pip install --quiet --disable-pip-version-check -r requirements/browser.txt
	@touch $@

# Debian's own Chromium where make runs as root, as CI does; elsewhere it is the user's to install.
.PHONY: chromium
chromium:
	@if [ -z "$$CHROMIUM" ] && ! command -v chromium chromium-browser google-chrome >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Chromium (once)"; apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	  fi; \
	fi || true

.PHONY: test-page screenshot
test-page: setup .venv-browser/.ready chromium ## The page in a real browser (CHROMIUM=/path/to/chromium)
	@.venv-browser/bin/pytest -rs tests/browser

screenshot: setup .venv-browser/.ready chromium ## Make docs/page.png, README's picture of the page, anew
	@.venv-browser/bin/python -m tests.browser.screenshot

.PHONY: openapi
openapi: setup ## Write openapi.yaml from the catalogue of actions
	@$(BIN)/python -m local.openapi

test: setup .venv-schemathesis/.ready lint types template-checks ## Lint, types, template checks, unit, contract, integration and browser tests, a short storm of faults
	@$(BIN)/pytest -n auto tests/unit tests/contract tests/template
	@echo "the deployed stack and the page, side by side; minutes"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-stack test-page

.PHONY: test-stack
test-stack: setup
	@$(BIN)/pytest -m "not long" tests/integration tests/chaos

test-long: setup .venv-schemathesis/.ready ## What takes longer: chaos, soak, long limiter runs
	@$(BIN)/pytest -m long tests

.PHONY: bench
bench: setup ## Measure cold starts, calls, sizes and costs against floors; minutes, on a quiet machine
	@$(BIN)/python -m bench

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy layers/skycore/skycore
	@$(BIN)/mypy -p ops
	@for function in functions/*/; do $(BIN)/mypy $$function || exit 1; done

template-checks: setup .venv-checkov/.ready ## sam validate, cfn-lint with the serverless rules, checkov; all offline
	@AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint
	@$(BIN)/cfn-lint --config-file .cfnlintrc.yaml
	@.venv-checkov/bin/checkov --config-file .checkov.yaml

.venv-checkov/.ready: requirements/checkov.txt .python-version
	@echo "setting up .venv-checkov (once)"
	@$(PYTHON) -m venv --clear .venv-checkov
	@.venv-checkov/bin/pip install --quiet --disable-pip-version-check -r requirements/checkov.txt
	@touch $@

lock: ## Write the pinned requirements anew (needs uv)
	uv pip compile -q --upgrade --python-version 3.13 --no-header --no-annotate requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --upgrade --python-version 3.13 --no-header --no-annotate requirements/schemathesis.in -o requirements/schemathesis.txt
	uv pip compile -q --upgrade --python-version 3.13 --no-header --no-annotate requirements/browser.in -o requirements/browser.txt
	uv pip compile -q --upgrade --python-version 3.13 --no-header --no-annotate requirements/checkov.in -o requirements/checkov.txt
	uv pip compile -q --upgrade --python-version 3.13 --no-header --no-annotate requirements/emulator.in -o requirements/emulator.txt
	uv pip compile -q --python-version 3.13 --no-header --no-annotate -c requirements/dev.txt layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	uv pip compile -q --python-version 3.13 --no-header --no-annotate -c requirements/dev.txt requirements/fuzz.in -o requirements/fuzz.txt

clean: down ## Remove everything that was set up or built
	@rm -rf .venv .venv-schemathesis .venv-emulator .venv-fuzz .venv-browser .venv-checkov .aws-sam .local

.PHONY: ops replay reconcile fuzz
OPS := $(BIN)/python -m ops $(if $(STACK),--stack $(STACK))
ops: setup ## The operator's tool, as make ops ARGUMENTS="dlq list" (STACK=name, default the local one)
	@$(OPS) $(if $(ARGUMENTS),$(ARGUMENTS),--help)

# Each command by its name too, as make status, or make message ARGUMENTS=ID.
OPERATIONS := status doctor tail messages message unparsed dlq suppress send-test export set-key postback-url rotate-token
.PHONY: $(OPERATIONS)
$(OPERATIONS): setup
	@$(OPS) $@ $(ARGUMENTS)

reconcile: setup ## Learn from Skycore's report what no postback told (STACK=name, default the local one; SINCE=time, UNTIL=time)
	@$(OPS) reconcile $(if $(SINCE),--since $(SINCE)) $(if $(UNTIL),--until $(UNTIL)) $(ARGUMENTS)

replay: setup ## Read unparsed postbacks again after a fix (STACK=name, default the local one; SINCE, UNTIL, TYPE: publish again)
	@$(OPS) replay $(if $(SINCE),--since $(SINCE)) $(if $(UNTIL),--until $(UNTIL)) $(if $(TYPE),--type $(TYPE)) $(ARGUMENTS)

.venv-fuzz/.ready: requirements/fuzz.txt .python-version
	@$(PYTHON) -m venv --clear .venv-fuzz
	@.venv-fuzz/bin/pip install --quiet --disable-pip-version-check -r requirements/fuzz.txt
	@touch $@

RUNS ?= 200000
fuzz: .venv-fuzz/.ready ## Fuzz the intake with RUNS inputs (200000), guided by coverage, from the corpus of postbacks
	@mkdir -p .local/fuzz
	@.venv-fuzz/bin/python tests/fuzz/fuzz_intake.py -runs=$(RUNS) -max_len=65536 -timeout=30 -rss_limit_mb=2048 -artifact_prefix=.local/fuzz- .local/fuzz tests/contract/postbacks

# Every target sets up what it needs by itself and says what it is doing. A fresh machine needs make, git and Python 3.11+.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Python comes from the machine, never from a download.
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A shell that asks for no bytecode would have each of the many processes compile all packages anew.
unexport PYTHONDONTWRITEBYTECODE
UV := .venv/bin/uv
VENV := .venv/.ready
SAM := .venv-sam/bin/sam
CHECKOV := .venv-checkov/bin/checkov
MINISTACK := .venv-ministack/bin/ministack
RUNTIME := .venv-runtime/.ready
EXAMPLES ?= 3000

.PHONY: help setup demo serve chaos test mutants guards machine engine bench lint runtime sam-local openapi lifecycles build clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV) ## .venv with the pinned dependencies and the predue command

$(VENV): requirements-dev.txt functions/requirements.txt requirements-uv.txt pyproject.toml scripts/find-python
	@python=$$(scripts/find-python)
	echo "setup: .venv with $$("$$python" --version) ($$python)"
	rm -rf .venv
	"$$python" -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-uv.txt
	echo "setup: installing pinned dependencies"
	$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements-dev.txt
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	touch $@

demo: $(VENV) ## two weeks of virtual time on a bundled portfolio; writes build/demo/
	@.venv/bin/predue demo --out build/demo

serve: $(VENV) ## the stack in real time, with its API and a console on localhost; PORT=8000
	@exec .venv/bin/predue serve --port "$${PORT:-8000}" --out build/serve

chaos: $(VENV) ## faults at every turn, 1,000 seeds over the ports, 4 over the handlers (RUNS=, HANDLERS=); keeps what fails
	@.venv/bin/predue chaos $(if $(RUNS),--runs $(RUNS)) $(if $(HANDLERS),--handlers $(HANDLERS))

test: $(VENV) $(SAM) $(RUNTIME) ## every test
	@echo "test: running every test"
	.venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

engine: $(VENV) $(MINISTACK) ## the tests over a second engine of the AWS APIs, ministack on loopback
	@scripts/with-ministack .venv/bin/python -m pytest -m engine tests/engine

mutants: $(VENV) ## take each guard away and show the test that notices; NAME=... one; RANDOM=60 SEED=1 ONLY=gate by chance; CHAOS=40 by seeds
	@.venv/bin/python -m tests.mutations.run $(NAME) $(if $(CHAOS),--chaos $(CHAOS)) $(if $(RANDOM),--random $(RANDOM)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

guards: $(VENV) ## build/mutations.md, a page that lists the guards and who notices their loss
	@.venv/bin/python -m tests.mutations.run --page

machine: $(VENV) ## the state machine for longer, with other chances each time; EXAMPLES=3000
	@echo "machine: $(EXAMPLES) examples"
	MACHINE_EXAMPLES=$(EXAMPLES) .venv/bin/python -m pytest tests/flow/test_interleavings.py -n 0 -s

lint: $(VENV) $(SAM) $(CHECKOV) ## ruff, mypy, layers, dead code, cfn-lint, sam validate, checkov
	@echo "lint: ruff"
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	echo "lint: mypy"
	.venv/bin/mypy
	echo "lint: layers"
	.venv/bin/lint-imports --no-logo --no-cache
	echo "lint: dead code"
	.venv/bin/vulture
	.venv/bin/vulture functions infrastructure tests
	echo "lint: cfn-lint"
	.venv/bin/cfn-lint template.yaml 'infrastructure/*.yaml'
	echo "lint: sam validate"
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint --template template.yaml
	echo "lint: checkov"
	scripts/run-checkov

bench: $(VENV) ## the bill, a delivery's processor time, the planner's time and memory, a simulation beside a run; DUES=10000,1000000
	@PYTHONPATH=functions:. .venv/bin/python -m tests.bench.run $(if $(DUES),--dues $(DUES))

runtime: $(VENV) $(SAM) $(RUNTIME) ## every function in the real Lambda runtime, with its cold start; STARTS=3
	@.venv/bin/python -m infrastructure.local.runtime.cold_starts --starts $(or $(STARTS),3)

sam-local: $(VENV) ## an endpoint for `sam local` in docker, with what its events name; HOST=127.0.0.1
	@.venv/bin/python -m infrastructure.local.runtime.sam_local --host $(or $(HOST),127.0.0.1)

openapi: $(VENV) ## docs/openapi.json anew, after a change of routes, events or answers
	@.venv/bin/python -m infrastructure.openapi

lifecycles: $(VENV) ## the tables of lifecycles in docs/architecture.md anew
	@PYTHONPATH=functions:. .venv/bin/python -m infrastructure.openapi.lifecycle_tables

build: $(SAM) ## sam build (needs the runtime's Python, 3.13, on this machine)
	@scripts/sam-build

# The SAM CLI, checkov and ministack pin versions of boto3 and others that differ from ours, so each lives in an environment of its own.
$(SAM): requirements-sam.txt | $(VENV)
	@echo "setup: .venv-sam with the SAM CLI"
	rm -rf .venv-sam
	"$$(scripts/find-python)" -m venv .venv-sam
	$(UV) pip sync --quiet --python .venv-sam/bin/python --require-hashes requirements-sam.txt
	touch $@

# What a function has in Lambda: what it ships, and the runtime's own client.
$(RUNTIME): functions/requirements.txt requirements-runtime.txt | $(VENV)
	@echo "setup: .venv-runtime with the Lambda runtime interface client"
	rm -rf .venv-runtime
	"$$(scripts/find-python)" -m venv .venv-runtime
	$(UV) pip sync --quiet --python .venv-runtime/bin/python --require-hashes $^
	touch $@

$(CHECKOV): requirements-checkov.txt | $(VENV)
	@echo "setup: .venv-checkov with checkov"
	rm -rf .venv-checkov
	"$$(scripts/find-python)" -m venv .venv-checkov
	$(UV) pip sync --quiet --python .venv-checkov/bin/python --require-hashes requirements-checkov.txt
	touch $@

$(MINISTACK): requirements-ministack.txt | $(VENV)
	@echo "setup: .venv-ministack with ministack"
	rm -rf .venv-ministack
	"$$(scripts/find-python)" -m venv .venv-ministack
	$(UV) pip sync --quiet --python .venv-ministack/bin/python --require-hashes requirements-ministack.txt
	touch $@

clean: ## remove what the other targets made
	@rm -rf .venv .venv-sam .venv-checkov .venv-ministack .venv-runtime .aws-sam build

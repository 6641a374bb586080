# What one can do here; CI does nothing else. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The newest Python found that the locks cover. A name on the PATH may be a launcher without an interpreter
# behind it, so each one is asked.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
# Airflow beside it, which the demo does without: 190 packages.
AIRFLOW_STAMP := $(VENV)/.setup-airflow
# What judges exported SDTM, in an environment of its own: CDISC's engine runs on Python 3.12 alone.
JUDGES := .venv-judges
JUDGES_STAMP := $(JUDGES)/.setup
PYTHON312 ?= $(shell for python in python3.12 $$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12*/bin/python 2>/dev/null); do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null && { echo "$$python"; break; }; done)
PACKAGES := shared services/extract services/transform services/load orchestration examples/clinical
# Certificates as the machine trusts them: uv's own list does not know a company's proxy.
export UV_SYSTEM_CERTS ?= 1
# Bytecode nobody imports costs two thirds of the compiling: 12.5 s without this, 4.9 s with it.
NOT_COMPILED := /(tests|pip|setuptools|mypyc?|lexers)/

# Which release of the images is built and run.
TAG ?= latest
DOCKER_BUILD = --quiet --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' shared/pyproject.toml) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown)

comma := ,
# $(call stage,what happens,commands): one line when it works, the whole output when it does not.
stage = @echo "$(1)"; said=$$({ $(2); } 2>&1) || { echo "$$said"; echo "make: this failed: $(1)"; exit 1; } >&2

.PHONY: help
help:
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-20s %s\n", $$1, $$2 }'

.PHONY: setup
setup: $(STAMP) ## everything a checkout needs, into .venv
	@echo "ready: $(BIN)/haulier"

$(STAMP): requirements/uv.txt requirements/dev.txt $(PACKAGES:%=%/pyproject.toml)
	@[ -n "$(PYTHON)" ] || { echo "Haulier needs Python 3.11 or newer and found none; install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON): Haulier needs Python 3.11 or newer" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install $$("$(PYTHON)" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	$(call stage,virtual environment ($$("$(PYTHON)" --version)),[ -x $(BIN)/pip ] && [ "$$($(BIN)/python --version)" = "$$("$(PYTHON)" --version)" ] || "$(PYTHON)" -m venv --clear $(VENV))
	$(call stage,uv$(comma) by version and hash,$(BIN)/pip install --disable-pip-version-check --require-hashes --no-deps -r requirements/uv.txt)
	$(call stage,requirements$(comma) by version and hash,$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements/uv.txt requirements/dev.txt)
	$(call stage,Haulier's own packages$(comma) editable,$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES:%=-e %))
	$(call stage,bytecode,env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j0 -x '$(NOT_COMPILED)' $(VENV)/lib $(PACKAGES))
	@touch $@

$(AIRFLOW_STAMP): $(STAMP) requirements/airflow.txt
	$(call stage,Airflow$(comma) by version and hash,$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements/airflow.txt)
	$(call stage,its bytecode,env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j0 -x '$(NOT_COMPILED)' $(VENV)/lib orchestration)
	@touch $@

.PHONY: judges
judges: $(JUDGES_STAMP) ## what judges exported SDTM, into .venv-judges; needs Python 3.12
	@echo "ready: $(BIN)/python -m haulier_clinical judge FOLDER"

$(JUDGES_STAMP): $(STAMP) requirements/judges.txt
	@[ -n "$(PYTHON312)" ] || { echo "The judges need Python 3.12 and found none; install it, or name it: make judges PYTHON312=/path/to/python3.12" >&2; exit 1; }
	$(call stage,virtual environment of the judges,$(BIN)/uv venv --quiet --clear --python "$(PYTHON312)" $(JUDGES))
	$(call stage,the judges$(comma) by version and hash,$(BIN)/uv pip sync --python $(JUDGES)/bin/python --require-hashes requirements/judges.txt)
	@touch $@

.PHONY: judge-pilot
judge-pilot: $(JUDGES_STAMP) ## the nine sites of the pilot trial as SDTM before the judges; takes minutes
	@data="$${HAULIER_CLINICAL_DATA:-../shared/data/clinical}"; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	HAULIER_TEST_SERVERS=embedded PYTHONPATH=tests $(BIN)/python -m support.sdtm "$$folder"; \
	$(BIN)/python -m haulier_clinical judge "$$folder/export" --core-rules "$$data/cdisc_core_rules_sdtmig_3_4.json.gz" \
		--explanations tests/e2e/trials/pilot/explanations.csv

.PHONY: demo
demo: $(STAMP) ## see Haulier at work on this machine, without Docker
	@$(BIN)/haulier demo

.PHONY: demo-down
demo-down: $(STAMP) ## stop what the demo started and remove it
	@$(BIN)/haulier demo --down

.PHONY: test
test: $(AIRFLOW_STAMP) ## every test that can run here
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@$(if $(HAULIER_TEST_ENGINE_RESTART),$(BIN)/python -m pytest tests/engine)

.PHONY: requirements
requirements: $(AIRFLOW_STAMP) ## the matrix of requirement, test and result, into .haulier/requirements.md
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m requirement --requirements=.haulier/requirements.md

# The pilot trial's files, fetched by whoever may use them.
CLINICAL_DATA ?= ../shared/data/clinical

.PHONY: pilot
pilot: $(STAMP) ## the clinical pilot trial, raw, against its own finished SDTM: rows, matched, differing
	@HAULIER_CLINICAL_DATA="$(CLINICAL_DATA)" HAULIER_TEST_SERVERS=embedded PYTHONPATH=tests $(BIN)/python -m support.pilot

.PHONY: coverage
coverage: $(AIRFLOW_STAMP) ## every test, and the lines none of them reached
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

.PHONY: images
images: ## the three steps' images, and Airflow's
	@for step in extract transform load; do docker build $(DOCKER_BUILD) -f services/$$step/Dockerfile -t haulier/$$step:$(TAG) .; done
	@docker build $(DOCKER_BUILD) -f orchestration/Dockerfile -t haulier/airflow:$(TAG) .
	@docker images --filter reference='haulier/*:$(TAG)' --format 'table {{.Repository}}:{{.Tag}}\t{{.Size}}'

.PHONY: up
up: $(STAMP) images ## Airflow, PostgreSQL and S3 in containers, with sample data; prints where to look
	@$(BIN)/python orchestration/compose.py up

.PHONY: down
down: $(STAMP) ## stop what `make up` started; with DATA=gone remove all it wrote
	@$(BIN)/python orchestration/compose.py down $(if $(DATA),--data)

.PHONY: bench
bench: $(STAMP) ## how fast it is here, measured
	@PYTHONPATH=tests $(BIN)/python tests/bench/start_up.py

.PHONY: trial
trial: $(STAMP) ## haul a generated trial of 50 sites and 30 days, and compare its ledger with the generator's record (SEED=7: another one)
	@PYTHONPATH=tests:examples/clinical $(BIN)/python tests/e2e/generated_trial.py $(if $(SEED),--seed $(SEED))

.PHONY: lint
lint: $(AIRFLOW_STAMP) ## style, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

.PHONY: lock
lock: $(STAMP) ## choose versions anew from requirements/*.in (UPGRADE=1: the newest ones)
	@cd requirements; \
	compile() { ../$(BIN)/uv pip compile --quiet --universal --python-version $${python:-3.11} --generate-hashes --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade) "$$@"; }; \
	compile uv.in -o uv.txt; \
	compile dev.in -o dev.txt; \
	for image in extract transform load airflow; do compile "$$image.in" -c dev.txt -o "$$image.txt"; done; \
	python=3.12 compile judges.in -o judges.txt

.PHONY: clean
clean: ## remove what can be made again
	@[ ! -x $(BIN)/haulier ] || [ ! -d .haulier ] || $(BIN)/haulier demo --down
	@rm -rf $(VENV) $(JUDGES) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

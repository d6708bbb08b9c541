# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
# On a GPU host pip brings the CUDA build of this version; set TORCH to use another (>= 2.11).
TORCH ?= torch==2.13.0
PIP := PYTHONWARNINGS='ignore:Editable installation' .venv/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: help setup demo test test-go test-java soak check web protos docs site dist constraints sbom format clean
help: ## list the commands
	@grep -E '^[a-z][a-z -]*:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.runtime: pyproject.toml clients/python/pyproject.toml | .venv/bin/python
	$(PIP) --upgrade 'pip>=25.1'  # for --group; whoever made .venv may have left an older one
	$(PIP) '$(TORCH)'
	$(PIP) -e 'clients/python[plot]' -e .  # plot: the tutorial draws a picture
	touch $@

.venv/.development: .venv/.runtime
	$(PIP) --group dev -e clients/python -e .
	$(PIP) --no-deps 'tinysoundfont>=0.3.6,<0.4'  # its PyAudio is for playing live, which nothing here does
	touch $@

# One tool of one pinned version: a lock file would name platform packages that a mirror need not have.
node_modules/.installed: package.json
	npm install --silent --no-audit --no-fund
	touch $@

setup: .venv/.runtime ## make .venv with everything that the services need

demo: .venv/.runtime ## render an 8-second take with stems, offline; WAV=path separates a recording instead
	.venv/bin/python scripts/demo.py $(if $(WAV),--wav '$(WAV)')

test: .venv/.development ## everything (docs/measurements.md has the time)
	scripts/test.sh

test-go test-java: .venv/.development ## only the tests of the client in Go or Java, with Debian's libraries
	.venv/bin/python -m pytest -q -k '[$(@:test-%=%)] or clients/$(@:test-%=%)' tests/flow/test_native_clients.py tests/wire/test_native_client_limits.py \
	  tests/unit/project/test_native_clients.py

soak: .venv/.development ## robustness over hours: faults and load; SOAK_MINUTES=5 shortens the load
	.venv/bin/python -m pytest -q -m soak tests

check: .venv/.development node_modules/.installed ## ruff, strict types, import-linter, buf
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	node_modules/.bin/buf lint
	node_modules/.bin/buf breaking protos --against protos/baseline.binpb
	node_modules/.bin/buf format --exit-code --diff protos

clients/typescript/node_modules/.installed: clients/typescript/package-lock.json
	cd clients/typescript && npm ci --silent --no-audit --no-fund
	touch $@

clients/web/node_modules/.installed: clients/web/package-lock.json
	cd clients/web && npm ci --silent --no-audit --no-fund
	touch $@

web: clients/typescript/node_modules/.installed clients/web/node_modules/.installed ## build the page of sonichaos up --web; needs Node.js 20 or newer
	scripts/build_page.sh

protos: .venv/.development node_modules/.installed clients/typescript/node_modules/.installed ## generate the stubs in clients/
	scripts/generate_stubs.sh

docs: .venv/.development ## write the reference pages that come from the code
	for page in settings cli api messages metrics python; do .venv/bin/python scripts/$${page}_doc.py; done

site: .venv/.development ## write build/site: docs/ as HTML, as Markdown and with llms.txt
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build

dist: .venv/.development web ## build wheels and source archives into build/dist; a commit always gives the same bytes
	.venv/bin/python scripts/build_dists.py

constraints: .venv/.development ## pin the packages of the container images, with hashes
	.venv/bin/python scripts/supply_chain.py constraints

sbom: .venv/.development ## write build/sbom.json: packages, versions and licences (CycloneDX)
	.venv/bin/python scripts/supply_chain.py sbom

format: .venv/.development ## lay out the Python code
	.venv/bin/ruff format .

clean: ## remove what these commands made, but .venv
	rm -rf build out node_modules hostctl/web/page clients/{typescript,web}/{node_modules,dist}

# SPDX-License-Identifier: GPL-2.0-only
# make demo, make test: both install what they need. `make help` lists the rest.
top := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))
bin := $(top)/.venv/bin
TREE ?= debian:6.1

.PHONY: help setup setup-dev demo docs test unit whole browser vm test-slow bench bench-steering bench-statistics bench-cli lint lock clean

help:
	@echo 'make setup             Debian packages and .venv/bin/mmrace'
	@echo 'make demo              four races, before and after their fixes, on Debian 6.1 (TREE=debian:7.3)'
	@echo 'make test              lint, unit tests, tests on real kernels (40 minutes from nothing)'
	@echo 'make test-slow         the longer ones'
	@echo 'make bench             the figures in README.md'
	@echo 'make bench-steering    the figures in docs/measurements/steering.md'
	@echo 'make bench-statistics  calibration of verify and bisect'
	@echo 'make docs              the documentation site, in artefacts/site'
	@echo 'make bench-cli         how long the command line takes to answer'
	@echo 'make lint unit whole browser vm  parts of make test'
	@echo 'make lock              pin the Python dependencies anew'

setup:
	@$(top)/harness/setup.sh $(top)

setup-dev:
	@$(top)/harness/setup.sh $(top) dev

demo: setup
	@$(bin)/mmrace demo --tree $(TREE)

docs: setup-dev
	cd $(top) && NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict

test: lint unit whole browser vm

lint: setup-dev
	$(bin)/ruff format --check $(top)
	$(bin)/ruff check $(top)
	cd $(top) && $(bin)/mypy
	shellcheck $(top)/harness/setup.sh $(top)/.ci/run

unit: setup-dev
	cd $(top) && $(bin)/pytest -n auto -m 'not whole' tests/unit

whole: setup-dev
	cd $(top) && $(bin)/pytest -n auto -m whole tests/unit

browser: setup-dev
	cd $(top) && $(bin)/pytest tests/browser

vm: setup-dev
	cd $(top) && $(bin)/pytest tests/vm -m 'not slow'

test-slow: setup-dev
	cd $(top) && $(bin)/pytest tests/vm -m slow

bench: setup-dev
	cd $(top) && $(bin)/python -m tests.bench

bench-steering: setup-dev
	cd $(top) && $(bin)/python -m tests.bench.bench_steering

bench-statistics: setup-dev
	cd $(top) && $(bin)/python -m tests.bench.statistics

bench-cli: setup-dev
	cd $(top) && $(bin)/python -m tests.bench.bench_cli

lock: setup-dev
	cd $(top) && $(bin)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --extra build --output-file requirements.lock pyproject.toml
	cd $(top) && $(bin)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --extra build --extra dev --extra docs --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(top)/.venv $(top)/artefacts

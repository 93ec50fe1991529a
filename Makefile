# Everything the project does from a shell. `make run` and `make test` are enough on a new machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: run test test-slow lint format bench browser prometheus screenshots words lock clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run  ## start everything in the foreground; Ctrl-C stops it
	@$(BIN)/photochanger up

test: $(VENV)/.dev browser prometheus  ## the whole suite, against a real PostgreSQL
	$(PYTEST) -m "not slow" -n 2 --dist loadfile

test-slow: $(VENV)/.dev  ## faults and loads that take minutes
	$(PYTEST) -m slow --timeout 1200

lint: $(VENV)/.dev  ## ruff and mypy strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff lay out and repair what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## speed and memory, printed as a table
	$(BIN)/python -m bench

browser:  ## the browser that the tests of the pages drive
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update \
		&& DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; } \
		|| echo "chromium is missing and cannot be installed here: the tests in a browser will be skipped"

# Only the programs out of Debian's package, beside our own: no service of it runs.
prometheus: $(VENV)/.dev  ## the Prometheus that tests of the rules and the board drive
	@command -v promtool >/dev/null || [ -x $(BIN)/promtool ] || { unpacked=$$(mktemp -d) \
		&& { [ "$$(id -u)" != 0 ] || apt-get -qq update; } \
		&& (cd "$$unpacked" && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb .) 2>/dev/null \
		&& cp "$$unpacked/usr/bin/prometheus" "$$unpacked/usr/bin/promtool" $(BIN)/; code=$$?; rm -rf "$$unpacked"; \
		[ $$code = 0 ]; } || echo "Prometheus is missing and cannot be fetched here: its tests will be skipped"

screenshots: $(VENV)/.dev browser  ## every page, light and dark, wide and narrow, into var/screenshots
	$(BIN)/python -m tests.screenshots

words: $(VENV)/.dev  ## bring the pages' catalogues (api/locales) up to what the pages say
	$(BIN)/python -m tests.catalogue

lock: $(VENV)/.dev  ## resolve the dependencies anew into the two lock files
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group build --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:  ## forget the virtual environment and the caches; var/ with its data stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache dist

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PhotoChanger needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

# The project itself is installed last and without its dependencies: those come from the lock, by hash.
INSTALL_SELF = $(BIN)/pip install -q --no-deps --no-build-isolation -e .

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install -q --require-hashes -r requirements-dev.lock
	$(INSTALL_SELF)
	@touch $@ $(VENV)/.run

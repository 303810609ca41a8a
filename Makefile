# make demo and make test do all set-up on a fresh machine: Python 3.11+ with venv, git and GNU make are enough.
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Unit directories are cheap to run side by side; the Swarm tests share one engine.
JOBS ?= 2
PYTEST := $(VENV)/bin/pytest -n $(JOBS) --dist loadgroup

.PHONY: demo test test-long test-sandbox test-engines test-nix lint types contracts schemas lock bench clean check

$(STAMP): pyproject.toml requirements-dev.lock
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: $(STAMP)
	$(VENV)/bin/ci-warm demo

test: $(STAMP)
	$(PYTEST) -m "not long and not matrix"

test-long: $(STAMP)
	$(PYTEST) -m "long and not live"
	$(PYTEST) -m live

# The package's check phase as Nix would run it (root, mmdebstrap); what is checked is what nix/package.nix says.
test-sandbox: $(STAMP)
	$(PY) -m tests.nix.sandbox -n $(JOBS)

# What is about a real Swarm on a newer Engine than the machine's own, which `make test` runs on (root, mmdebstrap).
test-engines: $(STAMP)
	$(PY) -m tests.engines 28
	$(PY) -m tests.engines 26
	$(VENV)/bin/pytest -m matrix

# On a whole nixpkgs tree: make test-nix NIXPKGS=/path/to/nixpkgs
test-nix: $(STAMP)
	NIXPKGS=$(NIXPKGS) $(VENV)/bin/pytest -rs -s tests/nix

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(STAMP)
	$(VENV)/bin/mypy reconciler tests

contracts: $(STAMP)
	$(VENV)/bin/lint-imports

check: lint types contracts

schemas: $(STAMP)
	$(VENV)/bin/ci-warm schema --write state-schema

# Locks carry hashes and no registry addresses; uv comes from PyPI.
lock: $(STAMP)
	$(PY) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--output-file requirements.lock pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra web \
		--output-file requirements-web.lock pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev --extra web \
		--output-file requirements-dev.lock pyproject.toml build-requirements.in

bench: $(STAMP)
	$(PY) -m bench.run
	$(PY) -m bench.daemon

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

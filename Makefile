# make demo and make test do all set-up on a fresh machine: Python 3.11+ with venv, git and GNU make are enough (Debian:
# python3 python3-venv git make). PYTHON=... names another Python than the machine's own.
VENV := .venv
export PYTHON ?= python3
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Unit directories are cheap to run side by side; the Swarm tests share one engine.
JOBS ?= 2
# Tests start the program some thousand times: compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(VENV)/bin/pytest -n $(JOBS) --dist loadgroup
# On the newest engine that this machine can have, unless CI_WARM_TEST_DOCKER_HOST names one.
WITH_ENGINE := $(PY) -m tests.engines newest

.PHONY: demo test test-long test-live test-sandbox test-engines test-packages test-nix lint types contracts schemas lock deb image bench clean check

$(STAMP): pyproject.toml requirements-dev.lock packaging/environment.sh
	@packaging/environment.sh $(VENV) requirements-dev.lock
	@touch $(STAMP)

demo: $(STAMP)
	$(VENV)/bin/ci-warm demo

test: $(STAMP)
	$(WITH_ENGINE) $(PYTEST) -m "not long and not matrix"

test-long: $(STAMP)
	$(WITH_ENGINE) $(PYTEST) -m "long and not live and not suites"
	$(WITH_ENGINE) $(PYTEST) -m "live and not suites"

# Real Keycloak, PostgreSQL, Traefik and Gitea, the whole of their stories (Go builds oauth2-proxy and Gitea).
test-live: $(STAMP)
	$(WITH_ENGINE) $(PYTEST) -m live

# The package's check phase as Nix would run it (root, mmdebstrap); what is checked is what nix/package.nix says.
test-sandbox: $(STAMP)
	$(PY) -m tests.nix.sandbox -n $(JOBS)

# What is about a real Swarm on a newer Engine than the machine's own, which `make test` runs on (root, mmdebstrap).
test-engines: $(STAMP)
	$(PY) -m tests.engines 28
	$(PY) -m tests.engines 26
	$(VENV)/bin/pytest -m matrix

# Set-up, packages and image on bare Debian 12 and 13 (root, mmdebstrap); CI has half of it.
test-packages: $(STAMP)
	$(VENV)/bin/pytest tests/packaging

# On a whole nixpkgs tree: make test-nix NIXPKGS=/path/to/nixpkgs
test-nix: $(STAMP)
	NIXPKGS=$(NIXPKGS) $(VENV)/bin/pytest -rs -s tests/nix

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(STAMP)
	$(VENV)/bin/mypy reconciler tests bench

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
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--constraint requirements-dev.lock --output-file build-requirements.lock build-requirements.in

# Packages for Debian: make deb SUITE=trixie. Root and mmdebstrap; no environment of this checkout.
SUITE ?= bookworm
deb:
	@packaging/deb/build.sh $(SUITE) dist

# A container image, given to the engine that `docker` talks to; made of Debian 13 and its package.
image:
	@packaging/deb/build.sh trixie dist
	@packaging/image/build.sh dist/ci-warm_*~deb13_amd64.deb ci-warm:latest

bench: $(STAMP)
	$(PY) -m bench.run
	$(PY) -m bench.commands
	$(PY) -m bench.daemon
	$(PY) -m bench.web

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

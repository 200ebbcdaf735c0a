# Two commands do everything: `make demo` and `make test`. Both build what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BUILT := $(VENV)/.built
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
# A cargo without nextest runs the same tests.
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: demo test test-rust test-loom test-python redis check fmt lint types docs wheel clean help

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Everything from PyPI, once; the package itself is built below.
$(INSTALLED): pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[dev,qserver]'
	touch $(INSTALLED)

# Editable: Python is used in place, only the engine is built (release).
$(BUILT): $(INSTALLED) $(RUST)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $(BUILT)

demo: $(BUILT)  ## fly a map on the simulated bench and show it
	$(BIN)/aefi demo

test: test-rust test-loom test-python  ## all tests

test-rust:
ifeq ($(NEXTEST),yes)
	cargo nextest run --workspace --locked
else
	cargo test --workspace --locked --tests
endif
	cargo test --workspace --locked --doc
	cargo test --workspace --locked --benches

# A target folder of its own: the flag would have everything else built anew.
test-loom:  ## the engine's atomics, in every order of its threads
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom CARGO_PROFILE_TEST_OPT_LEVEL=0 \
		cargo test --package aefi-scan-engine --locked --test loom

# What takes real time on ptys is judged by it: alone, and one after the other.
test-python: $(BUILT) redis
	$(BIN)/python -m pytest -m 'not realtime' -n auto --dist loadfile
	$(BIN)/python -m pytest -m realtime

# Its tests start a Redis of their own; where it is missing, only root can get it.
redis:
	@command -v redis-server >/dev/null \
		|| { apt-get update -qq && apt-get install -qq --no-install-recommends redis-server; } \
		|| { echo 'the tests of the queue server need redis-server' >&2; exit 1; }

check: fmt lint types docs  ## the cheap checks: format, lints, imports, types, rustdoc

fmt: $(BUILT)  ## are all files formatted?
	cargo fmt --check
	$(BIN)/ruff format --check

lint: $(BUILT)  ## clippy, ruff, direction of imports
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(BIN)/ruff check
	$(BIN)/lint-imports

types: $(BUILT)  ## strict types, and the stub of the binding against the binding
	$(BIN)/basedpyright
	$(BIN)/python -m mypy.stubtest aefi_bluesky.engine._native

docs:  ## rustdoc without a warning
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked

wheel: $(BUILT)  ## a wheel in dist/
	$(BIN)/maturin build --release --out dist

clean:
	rm -rf $(VENV) target dist aefi-demo
	rm -f aefi_bluesky/engine/_native*.so

# Two commands do everything: `make demo` and `make test`. Both install and build what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILT := $(VENV)/.built
USER := $(VENV)/.user
DEVELOPER := $(VENV)/.developer
PIP := $(BIN)/pip --quiet --disable-pip-version-check
REQUIREMENTS := $(PYTHON) .ci/requirements.py
RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock
# A cargo without nextest runs the same tests.
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
# Tools of `make check-quick`: a venv of their own, which takes seconds.
QUICK := .venv-quick
# The windows: PyMoDAQ and Qt stay out of the other tests.
GUI := .venv-gui

.PHONY: demo test test-rust test-loom test-ptys test-python test-gui redis check check-quick fmt lint types \
	docs pictures faults wheel package test-sdist mutants mutants-rust \
	constraints clean help needs-user needs-tests needs-gui FORCE

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

# -- what is installed -----------------------------------------------------------------

needs-user:
	@PYTHON=$(PYTHON) .ci/needs user

needs-tests:
	@PYTHON=$(PYTHON) .ci/needs tests

needs-gui:
	@PYTHON=$(PYTHON) .ci/needs gui

# Lists of requirements, written anew only when they changed: so a change of a linter's
# table in pyproject.toml installs nothing.
define write_if_changed
@mkdir -p $(@D)
@$(1) > $@.new && { cmp -s $@.new $@ && rm $@.new || mv $@.new $@; }
endef

$(VENV)/lists/user.txt: FORCE | needs-user
	$(call write_if_changed,$(REQUIREMENTS) --build --user)

$(VENV)/lists/developer.txt: FORCE | needs-user
	$(call write_if_changed,$(REQUIREMENTS) --build --user --group dev --group docs \
		--group package --extra qserver --extra redis --extra scanspec)

$(GUI)/lists/gui.txt: FORCE | needs-user
	$(call write_if_changed,$(REQUIREMENTS) --build --user --extra pymodaq-qt6 --group gui)

$(VENV)/lists/package.txt: FORCE | needs-user
	$(call write_if_changed,$(REQUIREMENTS) --package)

$(BIN)/python: | needs-user
	$(PYTHON) -m venv $(VENV)

$(USER): $(VENV)/lists/user.txt | $(BIN)/python
	$(PIP) install -r $<
	touch $@

$(DEVELOPER): $(VENV)/lists/developer.txt constraints.txt $(USER) | $(BIN)/python
	$(PIP) install -r $< -c constraints.txt
	touch $@

# Editable: Python is used in place, only the engine is built (release). Its build finds
# what it needs here already: others are built in isolation.
$(BUILT): $(USER) $(VENV)/lists/package.txt $(RUST)
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@

$(GUI)/bin/python: | needs-user
	$(PYTHON) -m venv $(GUI)

# Beside the engine that is built already: what is editable here is only found by pip.
$(GUI)/.installed: $(GUI)/lists/gui.txt constraints.txt $(BUILT) | $(GUI)/bin/python
	$(GUI)/bin/pip --quiet --disable-pip-version-check install -r $< -c constraints.txt
	$(GUI)/bin/pip --quiet --disable-pip-version-check install --no-build-isolation --no-deps -e .
	touch $@

constraints: | $(BIN)/python  ## renew the versions of the developer's tools
	$(PIP) install uv
	$(REQUIREMENTS) --group tools | $(BIN)/uv pip compile --quiet --no-deps --universal \
		--upgrade --no-annotate --custom-compile-command 'make constraints' \
		--python-version 3.11 --output-file constraints.txt -

# -- the two commands ------------------------------------------------------------------

demo: $(BUILT)  ## fly a map on the simulated bench and show it
	$(BIN)/aefi demo

# What tests need is installed first: better to fail after a minute than after ten.
test: needs-tests  ## all tests
	$(MAKE) $(DEVELOPER) $(BUILT) redis
	$(MAKE) test-rust
	$(MAKE) test-loom
	$(MAKE) test-ptys
	$(MAKE) test-python

# -- tests -----------------------------------------------------------------------------

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

# Every fault on serial ports, in real time: alone.
test-ptys:
	cargo test --package aefi-scan-engine --locked --test fault_matrix_ptys -- --ignored

# What takes real time on ptys is judged by it: alone, and one after the other.
test-python: $(DEVELOPER) $(BUILT) redis
	$(BIN)/python -m pytest -m 'not realtime' -n auto --dist loadfile
	$(BIN)/python -m pytest -m realtime

# A process, a home and a venv of their own: PyMoDAQ writes into the home, and changes
# the process that imports it. Root gets the libraries of Qt that a machine lacks.
test-gui: needs-gui  ## the tests of the windows, without a display
	.ci/qt-libraries
	$(MAKE) $(GUI)/.installed
	HOME=$$(mktemp -d) QT_QPA_PLATFORM=offscreen PYTEST_QT_API=pyqt6 MPLBACKEND=Agg \
		AEFI_REQUIRE_GUI=1 $(GUI)/bin/python -X faulthandler -m pytest -W default tests/gui

# Its tests start a Redis of their own; where it is missing, only root can get it.
redis:
	@command -v redis-server >/dev/null \
		|| { apt-get update -qq && apt-get install -qq --no-install-recommends redis-server; } \
		|| { echo 'the tests of the queue server need redis-server' >&2; exit 1; }

# -- mutants: outside of CI, bounded by their number --------------------------------------

MUTANTS := 20
RUST_MUTANTS := rust/aefi-scan-engine/src/ledger.rs rust/aefi-scan-engine/src/machine/halt.rs
mutants: $(DEVELOPER) $(BUILT)  ## do tests notice lines that are wrong? (MUTANTS=20 a module)
	$(PIP) install 'cosmic-ray>=8.4,<9'
	$(BIN)/python .ci/mutants.py --sample $(MUTANTS)

mutants-rust:  ## the same of the engine, by cargo-mutants
	cargo install --quiet --locked --root target/tools cargo-mutants
	target/tools/bin/cargo-mutants mutants --package aefi-scan-engine --jobs 1 \
		--minimum-test-timeout 120 --output target $(addprefix --file ,$(RUST_MUTANTS))

# -- checks ----------------------------------------------------------------------------

check: fmt lint types docs  ## the cheap checks: format, lints, imports, types, rustdoc

fmt: $(DEVELOPER)  ## are all files formatted?
	cargo fmt --check
	$(BIN)/ruff format --check

lint: $(DEVELOPER) $(BUILT)  ## clippy, ruff, direction of imports
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(BIN)/ruff check
	$(BIN)/lint-imports

$(QUICK)/.installed: constraints.txt | needs-user
	$(PYTHON) -m venv $(QUICK)
	$(REQUIREMENTS) --group quick > $(QUICK)/tools.txt
	$(QUICK)/bin/pip --quiet --disable-pip-version-check install -r $(QUICK)/tools.txt -c $<
	touch $@

check-quick: $(QUICK)/.installed  ## the checks that need nothing installed or built
	cargo fmt --check
	$(QUICK)/bin/ruff format --check
	$(QUICK)/bin/ruff check
	$(QUICK)/bin/lint-imports

types: $(DEVELOPER) $(BUILT)  ## strict types, and the stub of the binding against the binding
	$(BIN)/basedpyright
	$(BIN)/basedpyright --pythonplatform Windows
	$(BIN)/python -m mypy.stubtest aefi_bluesky.engine._native

# The engine's pages are beside Python's, and a warning of either is an error.
docs: $(DEVELOPER) $(BUILT)  ## the documentation's site in docs/_build/html
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
	rm -rf docs/reference/api
	$(BIN)/python -m sphinx -q -W --keep-going -j auto docs docs/_build/html
	rm -rf docs/_build/html/rust && cp -r target/doc docs/_build/html/rust

pictures: $(BUILT) $(GUI)/.installed  ## the pictures of the documents, flown anew
	rm -rf target/pictures
	$(BIN)/aefi demo --virtual --folder target/pictures
	cp target/pictures/maps.png docs/pictures/demo.png
	HOME=$$(mktemp -d) QT_QPA_PLATFORM=offscreen MPLBACKEND=Agg \
		$(GUI)/bin/python docs/pictures/window.py docs/pictures/window.png

faults:  ## the table of faults in the documents, flown anew; make test-ptys: in real time
	AEFI_WRITE_TABLES=1 cargo test --package aefi-scan-engine --locked --test fault_matrix

wheel: $(USER)  ## a wheel in dist/
	$(BIN)/maturin build --release --out dist

# -- archives that are given away ------------------------------------------------------

package: $(DEVELOPER)  ## wheel and source archive in dist/, looked at by tools made for it
	rm -rf dist
	$(BIN)/maturin build --release --sdist --out dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

# In a venv that has never seen the checkout, from the archive's own files; the package
# itself is the installed one, not the archive's beside the tests.
SDIST_TESTS := tests/unit tests/contract tests/architecture
test-sdist: package  ## tests of the source archive, in a clean venv
	rm -rf target/sdist && mkdir -p target/sdist
	tar -xzf dist/*.tar.gz -C target/sdist --strip-components 1
	$(PYTHON) -m venv target/sdist/venv
	target/sdist/venv/bin/pip --quiet --disable-pip-version-check install dist/*.tar.gz \
		-r $(VENV)/lists/developer.txt -c constraints.txt
	cd target/sdist && PYTHONSAFEPATH=1 venv/bin/pytest -q $(SDIST_TESTS)

clean:
	rm -rf $(VENV) $(QUICK) $(GUI) target dist docs/_build docs/reference/api aefi-demo
	rm -f aefi_bluesky/engine/_native*.so

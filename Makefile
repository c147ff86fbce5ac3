# `make demo` and `make test` do all the set-up themselves; they need Python 3.11 and nothing else.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo test check proof bench up lock clean

demo: .venv/runtime.stamp
	@$(BIN)/hub demo

up: .venv/runtime.stamp
	@$(BIN)/hub up

test: check
	$(BIN)/pytest -n 3 --dist worksteal -m "not proof"

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hub rules check --strict

proof: .venv/dev.stamp
	$(BIN)/pytest -m proof -s

bench: .venv/dev.stamp
	$(BIN)/python -m tests.bench

.venv/runtime.stamp: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || python3 -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/runtime.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# Needs uv. Hashes only: no registry address and no path of a machine in a lock file.
lock:
	uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra build -o requirements.lock pyproject.toml
	uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra build --extra dev -o requirements-dev.lock pyproject.toml

clean:
	rm -rf .venv .hub dist build

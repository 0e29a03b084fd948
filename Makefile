# Everything runs in .venv, which `setup` makes from nothing but python3; versions come from requirements.lock.
BIN := .venv/bin
export UV_LINK_MODE ?= copy

.PHONY: setup demo test slow check fix lock catalogue clean

setup: .venv/.ready

.venv/.ready: pyproject.toml requirements.lock
	test -x $(BIN)/python || python3 -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^uv==' requirements.lock)"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint requirements.lock --editable '.[dev]'
	touch $@

demo: setup
	rm -rf runs/demo
	$(BIN)/pumice fit digits --max-latency 2ms --time 3m --out runs/demo
	$(BIN)/pumice verify runs/demo/model.onnx --against runs/demo --data digits

# One process a core, one thread each: most tests are small networks.  Files stay whole, for what their tests share.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

slow: setup
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

fix: setup
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lock: setup
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o requirements.lock

catalogue: setup
	$(BIN)/python -m pumice.cost.catalogue

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache

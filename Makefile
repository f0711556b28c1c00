# make run: the main job. make test: all that must hold. make docs: the pages, in docs/_build/html. Each creates the
# environment first. make links: whether other sites still have what the pages link to, which needs a network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: run test lint format golden docs links clean

run: $(READY)
	$(BIN)/python -m bench run --encoder cycle --learner mlp
	$(BIN)/python -m bench plot curves --encoder cycle --learner mlp --output results/learning-curves.png

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(READY)
	$(BIN)/python -m bench.recipes.golden tests/golden $(NAMES)

docs: $(READY)
	$(BIN)/python -m sphinx --builder html --fresh-env --fail-on-warning --quiet docs docs/_build/html

links: $(READY)
	$(BIN)/python -m sphinx --builder linkcheck --fresh-env --fail-on-warning --quiet docs docs/_build/links

clean:
	rm -rf $(VENV) docs/_build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

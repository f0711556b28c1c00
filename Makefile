# make run: the main job. make test: all that must hold. make docs: the pages, in docs/_build/html. Each creates the
# environment first. make links: whether other sites still have what the pages link to, which needs a network. make oldest:
# encoders alone, without torch, with the oldest releases that they support. make gallery and make comparison: the numbers and
# pictures of docs/gallery.md and docs/comparison.md, the latter in an environment of its own, with other libraries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
OLDEST := $(VENV)-oldest
BESIDE := docs/comparison/.venv

.PHONY: run test environments oldest lint format golden docs links gallery comparison clean

run: $(READY)
	$(BIN)/python -m bench run --encoder cycle --learner mlp
	$(BIN)/python -m bench plot curves --encoder cycle --learner mlp --output results/learning-curves.png

test:
	$(MAKE) --jobs=2 --output-sync=target lint oldest
	env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

environments: $(READY) $(OLDEST)/.installed

oldest: $(OLDEST)/.installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python tests/oldest.py

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

gallery: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python docs/comparison/gallery.py

comparison: $(BESIDE)/.installed
	$(BESIDE)/bin/python -m pip install --quiet --no-deps --force-reinstall .
	OMP_NUM_THREADS=1 $(BESIDE)/bin/python docs/comparison/compare.py

clean:
	rm -rf $(VENV) $(OLDEST) $(BESIDE) docs/_build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

$(OLDEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --no-compile 'scikit-learn==1.8.0' 'numpy==2.0.*' 'scipy==1.13.*'
	$(OLDEST)/bin/python -m pip install --quiet --no-compile --no-deps --editable .
	touch $@

$(BESIDE)/.installed: docs/comparison/requirements.txt
	$(PYTHON) -m venv $(BESIDE)
	$(BESIDE)/bin/python -m pip install --quiet --requirement $<
	touch $@

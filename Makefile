# `make demo` runs the main job on the bundled crystals, `make test` every test, `make docs` builds the site with every
# example run. Each makes .venv first, and CI runs the same targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check
PYTEST := -m pytest -q -n 2 --dist worksteal

.PHONY: demo test test-oldest test-bare coverage lint docs bench weights release-check clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python $(PIP) -c constraints.txt -e ".[docs]"
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed lint
	$(BIN)/python $(PYTEST)

# The lower bounds of pyproject.toml, and no optional package at all: each in an environment of its own. Old packages warn
# of what newer ones have changed, so warnings are no errors there.
$(VENV)-oldest/.installed: pyproject.toml constraints.txt constraints-oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python $(PIP) -c constraints.txt -c constraints-oldest.txt \
		-e ".[plot,ase,parquet,skops,dask,accelerate,umap]" pytest pytest-xdist hypothesis numpydoc
	touch $@

$(VENV)-bare/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)-bare
	$(VENV)-bare/bin/python $(PIP) -c constraints.txt -e . pytest pytest-xdist hypothesis
	touch $@

test-oldest: $(VENV)-oldest/.installed
	$(VENV)-oldest/bin/python $(PYTEST) -W default

test-bare: $(VENV)-bare/.installed
	$(VENV)-bare/bin/python $(PYTEST)

# Which lines of skdim/ the tests reach: a quarter of an hour. Less than 95 % is an error.
coverage: $(VENV)/.installed
	$(BIN)/python $(PYTEST) --cov --cov-report=term

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy

# Warnings are errors. Nothing is fetched; the examples use bundled and made-up crystals.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

# make weights DATA="a.parquet b.parquet folder_of_cifs" ARGS="--epochs 30 --output my_weights"; the same command goes on
# after a kill. tools/train_weights.py --help says what the tables hold.
weights: $(VENV)/.installed
	@test -n "$(DATA)" || { echo 'give the data: make weights DATA="a.parquet folder_of_cifs"'; exit 2; }
	$(BIN)/python tools/train_weights.py $(DATA) $(ARGS)

# What would be released: build, twine check, conda recipe, content and size of the wheel, and an install in an empty environment.
$(VENV)-release/.installed:
	$(PYTHON) -m venv $(VENV)-release
	$(VENV)-release/bin/python $(PIP) build twine py-rattler-build
	touch $@

release-check: $(VENV)-release/.installed
	rm -rf dist
	$(VENV)-release/bin/python tools/release_check.py

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-bare $(VENV)-release build dist *.egg-info docs/_build docs/api docs/gallery

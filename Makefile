# Every step a fresh machine needs is here: Python >= 3.11, git and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AXE := .browser/axe_playwright_python/axe.min.js

.PHONY: setup browser fmt lint security audit licences type test test-all test-lowest lowest cov docs bench bench-accuracy bench-smoke before-after stress hostile fuzz golden mutants check clean demo

SUITES := families short traits missing null wide
SEEDS ?= 13000:13002
FUZZ_SECONDS ?= 600
METHODS ?= rcgnn,granger,granger+clean,lasso-var,pcmci+,pcmci+robust,varlingam,dynotears

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt 'torch==2.13.0'
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## simulate the built-in station, fit, print the graph beside the truth
	$(BIN)/rcgnn simulate --system station --out demo/station
	$(BIN)/rcgnn fit demo/station/data.csv --out demo/run --overwrite
	$(BIN)/rcgnn score demo/run --truth demo/station/truth.csv

fmt: setup
	$(BIN)/ruff format src tests benchmarks scripts
	$(BIN)/ruff check --fix src tests benchmarks scripts

lint: setup
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/ruff check src tests benchmarks scripts

security: setup audit  ## weaknesses in the code (ruff's S rules are in lint), and known ones in the pinned dependencies
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive src scripts benchmarks

audit: setup  ## says so where the data of pip-audit does not answer
	$(BIN)/pip install --quiet -c constraints.txt -e '.[security]'
	$(BIN)/python scripts/audit.py

licences: setup  ## docs/licences.md from the metadata of what is installed
	$(BIN)/python scripts/licences.py

type: setup
	$(BIN)/mypy

browser: $(AXE)  ## what the tests of the report need: chromium with its driver, and axe-core
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; } \
	  || { echo 'chromium and chromedriver are missing: install them, or run `make browser` as root on Debian.'; exit 1; }

$(AXE): $(STAMP)
	$(BIN)/pip install --quiet --no-deps --upgrade --target .browser 'axe-playwright-python==0.1.8'
	@touch $@

test: setup browser
	$(BIN)/python -m pytest -n 2

LOWEST := .venv-lowest
# The packages that rcgnn imports in the oldest versions that pyproject.toml allows, the rest as new as these bear: constraints-lowest.txt.
# Old versions use each other in ways that are deprecated by now, and leave files open, so these warnings are no errors here; the pages are
# tested by `make test`.
test-lowest:  ## `make test` on the oldest versions that are allowed
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet -c constraints-lowest.txt -e '.[plots,balance,cluster]' polars xarray duckdb pytest pytest-xdist hypothesis selenium \
	  jsonschema ipykernel nbclient mkdocs-material mkdocstrings-python
	$(LOWEST)/bin/python -m pytest -n 2 --ignore tests/browser -W ignore::DeprecationWarning -W ignore::ResourceWarning -W ignore::pytest.PytestUnraisableExceptionWarning

lowest: setup  ## constraints-lowest.txt again, after a change of a lower bound
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --no-annotate --no-header \
	  --extra plots --extra balance --extra cluster pyproject.toml scripts/lowest.in -o constraints-lowest.txt

test-all: setup browser
	$(BIN)/python -m pytest -n 2 -m "slow or not slow"

cov: setup browser
	$(BIN)/python -m pytest --cov --cov-report=term

docs: setup  ## runs the notebooks, then builds the site
	$(BIN)/python scripts/notebooks.py
	$(BIN)/mkdocs build --strict

bench: setup bench-accuracy  ## every figure that this project claims; two hours
	$(BIN)/python benchmarks/floor.py
	$(BIN)/python benchmarks/effects.py
	$(BIN)/python benchmarks/air_quality.py
	$(BIN)/python benchmarks/origin_tables.py
	$(BIN)/python benchmarks/ablation.py
	$(BIN)/python benchmarks/steadiness.py
	$(BIN)/python benchmarks/trust.py
	$(BIN)/python benchmarks/injection.py
	$(BIN)/python benchmarks/sweep_speed.py

bench-accuracy: setup  ## the suites on seeds of their own, then one page; peers that are not installed are skipped
	for suite in $(SUITES); do \
	  $(BIN)/rcgnn bench benchmarks/suites/$$suite.yaml --seeds $(SEEDS) --methods $(METHODS) --set select.refine=off --out bench/$$suite || exit 1; \
	done
	$(BIN)/python benchmarks/accuracy.py $(SUITES:%=bench/%)

before-after: setup  ## the origin's failure, its cure and ours on one table, on one page
	$(BIN)/python benchmarks/before_after.py

bench-smoke: setup  ## rcgnn bench from suite to report, in seconds
	$(BIN)/rcgnn bench benchmarks/suites/smoke.yaml

stress: setup  ## the whole stress matrix, minutes; interrupted? the same command goes on
	$(BIN)/python benchmarks/stress.py

hostile: setup  ## 20,000 spoilt tables and settings, and whole fits of absurd tables; ten minutes
	$(BIN)/python benchmarks/hostile_tables.py

fuzz: setup  ## readers and settings, guided by coverage; atheris is put into the environment by this target alone
	$(BIN)/pip install --quiet --no-deps 'atheris==3.0.0'
	$(BIN)/python tests/hostile/fuzz.py --seconds $(FUZZ_SECONDS)

golden: setup  ## "no change" means the same fixed-seed loss curve
	$(BIN)/python -m pytest tests/contracts/test_golden.py

mutants: setup  ## does a test notice when the core is changed? half an hour; MUTANTS="guard --seed 1" asks for others
	$(BIN)/pip install --quiet -c constraints.txt 'cosmic-ray==8.7.0'
	$(BIN)/python scripts/mutants.py $(MUTANTS)

check: lint type test docs

clean:
	rm -rf $(VENV) $(LOWEST) build dist site demo bench .fuzz .pytest_cache .mypy_cache .ruff_cache .hypothesis .browser .coverage htmlcov

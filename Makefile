# Every command sets up what it needs: a virtual environment and the locked dependencies.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test check format bench lock audit clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED) ## Start the whole stack with a simulated Access edge at http://localhost:8000
	@$(BIN)/python -m deploy.demo.run

test: $(INSTALLED) ## Run every test (SQLite, embedded PostgreSQL, Chromium where it is installed)
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

check: $(INSTALLED) ## Format, lint, types, import rules, spelling, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python docs/generate.py --check

format: $(INSTALLED) ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Measure the sidecar against a direct connection (needs wrk)
	@$(BIN)/python -m benchmarks.run

audit: $(INSTALLED) ## Ask for known advisories of the locked dependencies (needs the internet)
	$(BIN)/pip-audit --requirement requirements-dev.lock --no-deps --disable-pip

lock: $(INSTALLED) ## Write the lock files anew
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-trusted-host \
	  --no-emit-find-links --no-header --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-trusted-host \
	  --no-emit-find-links --no-header --allow-unsafe --extra dev --output-file requirements-dev.lock pyproject.toml
	@# pip-compile drops the marker of a package that this machine can install; others could not.
	sed -i 's/^\(atheris==[^ ]*\) \\$$/\1 ; sys_platform == "linux" and platform_machine == "x86_64" and python_version < "3.14" \\/' \
	  requirements-dev.lock

clean: ## Remove the virtual environment and the demo's data
	rm -rf $(VENV) data/demo

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Sallyport needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python has no venv module: on Debian, apt install python3-venv"; exit 1; }
	@echo "Installing the locked dependencies into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

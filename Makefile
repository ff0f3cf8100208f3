# The few commands people type. They need Python 3.10 or newer with venv, and a package index;
# everything goes into .venv, and a second `make` installs nothing.
#
#   make demo       train, export, quantize, check and measure two nets; ends with one table
#   make test       every test, in a process for each core; PYTEST="-k bundle" hands words to pytest
#   make check      style, types and floors
#   make bench      what measures the figures that need no training; 10 minutes, nothing else running
#   make schemas    the JSON Schema of every document, from its dataclass
#   make test-gpu   the tests that need a CUDA device, in .venv-gpu
#   make clean      remove what make made
#
# TORCH_INDEX=URL takes torch and torchvision, and nothing else, from another index. PyTorch's own
# has wheels for CPUs, without the 5 GB of CUDA's libraries.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= all
TORCH_INDEX ?=
PYTEST ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.installed-tools

.DELETE_ON_ERROR:
.PHONY: demo test check check-style check-format check-types check-floors bench schemas test-gpu clean

demo: $(INSTALLED)
	rm -rf .demo && mkdir .demo
	cd .demo && $(abspath $(BIN))/edgecnn demo

test: $(TOOLS)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 $(PYTEST)

check: check-style check-format check-types check-floors

check-style: $(TOOLS)
	$(BIN)/ruff check .

check-format: $(TOOLS)
	$(BIN)/ruff format --check .

check-types: $(TOOLS)
	$(BIN)/mypy

check-floors: $(TOOLS)
	$(BIN)/lint-imports --no-cache # its cache has hidden broken floors

bench: $(INSTALLED)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/profile_sums.py
	$(BIN)/python benchmarks/aa.py --false 20 --found 10

schemas: $(TOOLS)
	$(BIN)/python -m edgecnn.schemas

# onnxruntime and onnxruntime-gpu overwrite one another's files: they get a venv each.
test-gpu:
	$(MAKE) test VENV=.venv-gpu EXTRAS=cuda,train PYTEST="-m gpu $(PYTEST)"

clean:
	rm -rf .venv .venv-gpu .demo dist

# pip 23, which Debian has, cannot read dependency groups; pyproject.toml stays the one place.
define LIST_REQUIREMENTS
import sys
if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
if sys.argv[1] == "torch":
    train = project["project"]["optional-dependencies"]["train"]
    print(*(name for name in train if name.startswith("torch")), sep="\n")
else:
    print(*project["dependency-groups"][sys.argv[1]], sep="\n")
endef
export LIST_REQUIREMENTS

$(VENV)/.created:
	$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	touch $@

$(INSTALLED): $(VENV)/.created pyproject.toml
ifneq ($(TORCH_INDEX),)
	$(BIN)/python -c "$$LIST_REQUIREMENTS" torch > $(VENV)/torch.txt
	$(PIP) --index-url $(TORCH_INDEX) --requirement $(VENV)/torch.txt
endif
	$(PIP) --editable ".[$(EXTRAS)]"
	touch $@

$(TOOLS): $(INSTALLED)
	$(BIN)/python -c "$$LIST_REQUIREMENTS" dev > $(VENV)/dev.txt
	$(PIP) --requirement $(VENV)/dev.txt
	touch $@

# Every command sets up what it needs: its own virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV ?= .venv
TEST_WORKERS ?= 2
PYTEST_ARGS ?=
MARKS ?= not browser and not notebook and not long
DEMO_ARGS ?=
BENCH_ARGS ?=
APP_ARGS ?=
# where root is the only user (containers) JupyterLab asks to be allowed
NOTEBOOK_ARGS ?=
TORCH_INDEX_URL ?=

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
PINNED := $(PIP) install -qq -c constraints.txt
INPUTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help app notebooks test test-browser test-notebooks demo bench lint setup clean

help:
	@echo "make app     the lab in the browser, at http://127.0.0.1:8501            (APP_ARGS='--server.port 9000')"
	@echo "make notebooks  ten tutorials in JupyterLab                   (NOTEBOOK_ARGS='--no-browser --port 8890')"
	@echo "make test    all tests, in $(TEST_WORKERS) processes            (PYTEST_ARGS='-m \"not slow\"' for a short round)"
	@echo "make test-browser     the app end to end in Chromium;  make test-notebooks  every tutorial, unsolved and solved"
	@echo "make demo    fetches real weights and data, trains LoRA, DoRA and BiDoRA on two tasks, prints tables"
	@echo "make bench   speed and memory against PEFT and Betty    (BENCH_ARGS=...)"
	@echo "make lint    ruff, formatting and types"
	@echo "make setup   only the environment; then: $(VENV)/bin/bidora --help"
	@echo "make clean   removes $(VENV), build and caches; runs and downloads stay"
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter (3.11 or newer is needed)."
	@echo "On Linux, torch comes with several GB of CUDA libraries unless told otherwise. Without a GPU give the address"
	@echo "of the CPU-only wheels that pytorch.org names under 'Get started': make test TORCH_INDEX_URL=https://..."

# torch first and alone: pinned, and from the index that the user names, so that nothing pulls in another build later.
$(VENV)/.torch: $(INPUTS)
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "$(PYTHON) is too old or missing: Python 3.11 or newer is needed; name one with PYTHON=python3.12"; exit 2; }
	@test -x $(PY) || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing torch (the largest part; some minutes on a slow line)"
	@$(PINNED) $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) torch
	@touch $@

$(VENV)/.base: $(VENV)/.torch
	@echo "installing bidora-lab"
	@$(PINNED) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	@echo "installing what the tests need"
	@$(PINNED) -e ".[app,notebooks,test,bench,tagging,generation]"
	@$(INSTALL_BETTY)
	@touch $@

$(VENV)/.app: $(VENV)/.base
	@echo "installing what the app needs"
	@$(PINNED) -e ".[app]"
	@touch $@

$(VENV)/.notebooks: $(VENV)/.app
	@echo "installing JupyterLab"
	@$(PINNED) -e ".[app,notebooks]"
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "installing ruff, mypy, pre-commit"
	@$(PINNED) -e ".[dev]"
	@touch $@

# betty-ml 0.1.1 has metadata that pip 24.1 and newer refuses: where that happens, an older pip in a folder of its own
# installs it. Without Betty the tests that need it are skipped and say so.
BETTY := betty-ml==0.1.1
define INSTALL_BETTY
$(PIP) install -qq --no-deps "$(BETTY)" 2>/dev/null || \
{ $(PIP) install -qq --target build/older-pip "pip<24.1" && \
  PYTHONPATH=build/older-pip $(PY) -m pip --disable-pip-version-check install -qq --no-deps "$(BETTY)"; } || \
echo "betty-ml could not be installed; tests that compare with it will be skipped"
endef

# End-to-end tests drive Chromium: $CHROMIUM, or Debian's, which root installs here. Without it they are skipped and say so.
define INSTALL_CHROMIUM
command -v "$${CHROMIUM:-chromium}" >/dev/null || \
{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing chromium" && apt-get update -qq && \
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
echo "chromium could not be installed; tests in a browser will be skipped"
endef

$(VENV)/.browser: $(VENV)/.base
	@$(INSTALL_CHROMIUM)
	@touch $@

setup: $(VENV)/.base

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(TEST_WORKERS) --dist loadgroup -m "$(MARKS)" $(PYTEST_ARGS)

test-browser: $(VENV)/.test $(VENV)/.browser
	$(PY) -m pytest -m browser $(PYTEST_ARGS)

test-notebooks: $(VENV)/.test
	@$(PY) -m bidora fetch || echo "not all weights and data are here; the tutorials say what they leave out"
	$(PY) -m pytest -m notebook $(PYTEST_ARGS)

app: $(VENV)/.app
	@echo "opening the lab: http://127.0.0.1:8501 (Ctrl-C here closes it; runs go on)"
	@$(PY) -m streamlit run app/main.py $(APP_ARGS)

notebooks: $(VENV)/.notebooks
	@echo "opening JupyterLab; begin with 00_start_here.ipynb (Ctrl-C twice here closes it)"
	@cd notebooks && $(abspath $(PY)) -m jupyterlab $(NOTEBOOK_ARGS) $$(test "$$(id -u)" = 0 && echo --allow-root)

demo: $(VENV)/.base
	@$(PY) -m bidora demo $(DEMO_ARGS)

bench: $(VENV)/.test
	@$(PY) -m benchmarks $(BENCH_ARGS)

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path "./runs/*" -prune -exec rm -rf {} +

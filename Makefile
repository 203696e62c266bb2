# Every target makes what it needs: from a clean checkout, Python >= 3.11 and pip (or uv) will do.
#
#   make demo     install with TensorFlow for the CPU, and train on the iris data
#   make test     lint, types, import contract, and every test but the nightly ones
#   make http     the tests of promises and commands again, over the HTTP pair; part of `make test`
#   make lint     the same without the tests
#   make bench    the benchmarks
#   make mirrors  write models/ anew from the Keras that is installed
#   make backends the tests of JAX and torch, in an environment of their own
#   make nightly  every test, those too, and the fast ones on each Python from 3.11 to 3.13 here
#   make clean    remove what was built; `rm -rf .venv*` for the environments
#
# PYTHON=/path/to/python says which Python the environment is made from.

.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: demo test http lint bench mirrors backends nightly clean
MAKEFLAGS += --no-print-directory

# What imports is cached, as it is for a user; nothing but the checkout is imported.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport PYTHONHOME

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
NIGHTLY_PYTHONS := 3.11 3.12 3.13

# A name on PATH proves nothing (a pyenv shim may stand for no Python), so each one is run.
# Below 3.14, because TensorFlow has no wheels for it.
USABLE := import sys; $(if $(UV),,import ensurepip; import venv;) \
	sys.exit(not (3, 11) <= sys.version_info < (3, 14))
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)

# An environment whose Python is gone, or too old, holds nothing: its stamps must not count.
# So must those of one that was moved or copied, since its scripts name the old place.
WORKS := import os, sys; \
	sys.exit(sys.version_info < (3, 11) or \
	os.environ["HERE"] not in open(os.environ["HERE"] + "/bin/activate").read())
ifneq ($(shell HERE="$(CURDIR)/$(VENV)" $(BIN)/python -c '$(WORKS)' >/dev/null 2>&1 && echo yes),yes)
$(shell rm -f $(VENV)/.stamp-*)
endif

# $(call create,environment,python) and $(call install,environment,extras). Editable for the
# demo as well: a plain install would replace the developer's editable one. uv does not
# byte-compile unless told to, and then the first imports pay for it.
ifneq ($(UV),)
create = $(UV) venv --quiet --python $(2) $(1)
pip_install = $(UV) pip install --quiet --compile-bytecode --python $(1)/bin/python
else
create = $(2) -m venv $(1)
pip_install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
endif
install = $(pip_install) -e '.[$(2)]'

demo: $(VENV)/.stamp-demo
	$(BIN)/python examples/iris.py

test: lint
	$(BIN)/pytest $(SIDE_BY_SIDE)
	@$(MAKE) http

http: $(VENV)/.stamp-test
	ASYNCBRIDGE_TRANSPORT=http $(BIN)/pytest $(SIDE_BY_SIDE) -m 'not nightly and not tensorflow' $(HTTP_TESTS)

# No cache for the imports: it is stale once a module appears that was imported before.
lint: $(VENV)/.stamp-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.stamp-test
	$(BIN)/python benchmarks/run.py

mirrors: $(VENV)/.stamp-test
	$(BIN)/python tools/generate_mirrors.py

nightly: $(VENV)/.stamp-test
	$(BIN)/pytest -m '' --hypothesis-profile=nightly
	@$(MAKE) http HTTP_TESTS='$(HTTP_TESTS) $(MORE_HTTP_TESTS)'
	@$(MAKE) --keep-going backends $(NIGHTLY_PYTHONS:%=fast-on-%)

# Without TensorFlow, too: nothing that is for all backends may need it.
backends: $(VENV)-backends/.stamp-backends
	$(VENV)-backends/bin/pytest $(BACKEND_TESTS)

# Without TensorFlow, so that an import of it in the wrong place fails here.
.PHONY: $(NIGHTLY_PYTHONS:%=fast-on-%)
$(NIGHTLY_PYTHONS:%=fast-on-%): fast-on-%:
	@export PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | grep '^$*\.' | tail -n 1)"; \
	if python$* -c '$(USABLE)' >/dev/null 2>&1; then \
		$(MAKE) $(VENV)-$*/.stamp-fast && \
		$(VENV)-$*/bin/pytest -m 'not slow and not tensorflow and not nightly'; \
	else echo "python$* is not installed here: skipped"; fi

clean:
	rm -rf build dist out htmlcov .coverage .coverage.* *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

# A file's tests stay together, since they share workers; the fast ones still come first.
SIDE_BY_SIDE := --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# Where promises meet a worker, beside what they are by themselves.
HTTP_TESTS := $(addprefix tests/integration/test_,\
	commands.py decisions.py progress.py values.py waiters.py)
MORE_HTTP_TESTS := tests/promise tests/conformance $(addprefix tests/integration/test_,\
	cancelling.py closing.py errors.py large_values.py losses.py output.py queue.py \
	reconnecting.py refusals.py restarts.py streaming.py sync.py)

# --- environments ------------------------------------------------------------------------
# A stamp for each set of extras, remade when pyproject.toml changes. An environment that was
# there before its stamps is kept when its Python works.

DEMO_EXTRAS := tensorflow-cpu,plot
TEST_EXTRAS := dev,tensorflow-cpu,plot,sparse,fast
FAST_EXTRAS := dev,plot,sparse,fast
BACKEND_EXTRAS := dev,jax,torch,sparse
BACKEND_TESTS := tests/worker/test_jax_arrays.py tests/worker/test_torch_tensors.py \
	tests/integration/test_backends.py
# The build for the CPU, from where torch's makers keep it: the one on PyPI brings CUDA along.
TORCH := torch
TORCH_FROM := --index-url https://download.pytorch.org/whl/cpu

$(VENV)/.stamp-demo: pyproject.toml | $(VENV)/.stamp-python
	@echo "Installing .[$(DEMO_EXTRAS)] into $(VENV): a minute or two ..."
	@$(call install,$(VENV),$(DEMO_EXTRAS))
	@touch $@

$(VENV)/.stamp-test: pyproject.toml | $(VENV)/.stamp-python
	@echo "Installing .[$(TEST_EXTRAS)] into $(VENV): some minutes ..."
	@$(call install,$(VENV),$(TEST_EXTRAS))
	@touch $@ $(VENV)/.stamp-demo

$(VENV)-%/.stamp-fast: pyproject.toml
	@rm -rf $(VENV)-$*
	@$(call create,$(VENV)-$*,python$*)
	@echo "Installing .[$(FAST_EXTRAS)] into $(VENV)-$* ..."
	@$(call install,$(VENV)-$*,$(FAST_EXTRAS))
	@touch $@

$(VENV)-backends/.stamp-backends: pyproject.toml | $(VENV)/.stamp-python
	@rm -rf $(VENV)-backends
	@$(call create,$(VENV)-backends,$(BIN)/python)
	@echo "Installing torch and .[$(BACKEND_EXTRAS)] into $(VENV)-backends: some minutes ..."
	@$(call pip_install,$(VENV)-backends) $(TORCH_FROM) '$(TORCH)'
	@$(call install,$(VENV)-backends,$(BACKEND_EXTRAS))
	@touch $@

$(VENV)/.stamp-python:
	@if ! HERE="$(CURDIR)/$(VENV)" $(BIN)/python -c '$(WORKS)' >/dev/null 2>&1; then \
		found=; \
		for python in $(CANDIDATES); do \
			if "$$python" -c '$(USABLE)' >/dev/null 2>&1; then found="$$python"; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "No usable Python among: $(CANDIDATES)." >&2; \
			echo "Needed: Python 3.11 to 3.13 with its venv module (Debian: python3-venv)." >&2; \
			echo "Name one so: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; \
			exit 1; \
		fi; \
		rm -rf $(VENV); \
		$(call create,$(VENV),"$$found"); \
	fi
	@touch $@

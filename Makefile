# Two commands are all a newcomer needs: make run, make test. Each installs what it needs first, into .venv.

PYTHON ?= python3
BENCH_ARGS ?=
PYTEST := .venv/bin/python -m pytest
# A stage ends after ten failures or its time: by then something is broken that all of its tests need.
STAGE := $(PYTEST) --maxfail=10
# The stages of `make test` that follow each other, each also where one before has failed: the app's tests, units, those
# with real parts or that break something (a module's together). The others with Chromium run beside them, one by one.
# Most tests wait most of the time for something to start or to pass: more run at once than there are cores.
STAGES := test-web test-units test-parts
# Containers often ask Python to keep no byte code: each process of a test would then compile all that it imports, and
# pytest would rewrite the assertions of 600 modules in each of its own.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-others $(STAGES) test-browser lint bench web clean docs pictures

help:
	@echo 'make run    install what is missing, then run everything with 16 simulated cameras'
	@echo 'make test   install what is missing, then run all tests (PYTEST_ARGS=… for some)'
	@echo 'make lint   style, types, import rules'
	@echo 'make bench  the measurements (BENCH_ARGS=…)'
	@echo 'make web    build the browser app'
	@echo 'make docs   write the generated reference anew'
	@echo 'make pictures  take the pictures of the operators'"'"' guide anew'
	@echo 'make clean  remove what was built; .venv stays'

run:
	@$(PYTHON) -m tools.bootstrap run
	@PANTAU_LOG_LEVEL=$${PANTAU_LOG_LEVEL:-warning} .venv/bin/pantau up --demo

test:
	@$(PYTHON) -m tools.bootstrap test
ifdef PYTEST_ARGS
	@$(PYTEST) $(PYTEST_ARGS)
else
	@$(MAKE) --no-print-directory --keep-going --jobs=2 test-browser test-others
endif

test-others:
	@status=0; for stage in $(STAGES); do $(MAKE) --no-print-directory $$stage || status=1; done; exit $$status

test-web:
	@$(PYTHON) -m tools.npm test

test-units:
	@$(STAGE) --session-timeout=900 -n 4 -m 'not (integration or chaos or browser)'

test-parts:
	@$(STAGE) --session-timeout=1800 -n 4 --dist loadfile --no-loadscope-reorder -m 'chaos or integration'

test-browser:
	@$(STAGE) --session-timeout=2100 -m browser tests/browser

lint:
	@$(PYTHON) -m tools.bootstrap lint
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) -m tools.npm lint
	$(PYTHON) -m tools.check_tree
	$(PYTHON) -m tools.check_names
	$(PYTHON) -m tools.check_prose

bench:
	@$(PYTHON) -m tools.bootstrap bench
	@.venv/bin/python -m bench $(BENCH_ARGS)

web:
	@$(PYTHON) -m tools.bootstrap web

docs:
	@.venv/bin/python -m tools.reference

pictures:
	@$(PYTHON) -m tools.bootstrap test
	@.venv/bin/python -m tools.guide_pictures

clean:
	rm -rf services/wall/static services/wall/web/node_modules dist .cache .hypothesis
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find services tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The README's two commands, `make demo` and `make test`, do all the set-up on a fresh machine.
PYTHON ?= python3.11
BIN := .venv/bin
comma := ,
EXTRAS := demo,backbones,elpv,turbo,search,stores,map,tune,audit,pdf,video,web,explain,dev

.PHONY: demo test coverage check install lock clean

install: .venv/installed

.venv/installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c requirements.lock -e ".[$(EXTRAS)]"
	touch $@

demo: install
	$(BIN)/headstart study textiles --scenario features,finetune --train-seeds 1 --out runs/textiles

# Two test processes share the processors: threads that wait for work sleep, and do not spin on what the other needs
# (4/10 less time).
test coverage: export OMP_WAIT_POLICY := PASSIVE

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

coverage: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=85

check: install
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: install
	rm -f requirements.lock
	$(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  --constraint constraints.txt $(foreach extra,$(subst $(comma), ,$(EXTRAS)),--extra $(extra)) \
	  --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv runs .mypy_cache .ruff_cache .pytest_cache

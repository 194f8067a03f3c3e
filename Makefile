# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint docs install benchmark clean

install: $(VENV)/installed

# torch comes first and pinned: an unpinned one pulls gigabytes of CUDA packages.
$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[dev]'
	touch $@

demo: install
	mkdir -p out
	$(BIN)/vdenoise run samples/scene_sensor.mp4 -o out/scene.mp4 --overwrite
	@$(BIN)/python samples/sheet.py samples/scene_sensor.mp4 out/scene.mp4 out/scene-before-after.png
	@echo
	@echo "noisy:            samples/scene_sensor.mp4"
	@echo "clean:            out/scene.mp4"
	@echo "before and after: out/scene-before-after.png"

# Not worksteal: once in some forty runs both workers waited for ever, each with its last test.
test: install
	$(BIN)/python -m pytest -n 2 --dist load

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install
	$(BIN)/python -m vdenoise.chain.docs
	$(BIN)/python -m vdenoise.media.page
	$(BIN)/python -m benchmarks.results

# The whole comparison, hours on two cores: make benchmark DATA=FOLDER (see benchmarks/README.md).
benchmark: install
	@test -n "$(DATA)" || { echo "make benchmark DATA=FOLDER, the folder of clean clips"; exit 2; }
	$(BIN)/python -m benchmarks.quality --data $(DATA)
	$(BIN)/python -m benchmarks.speed

clean:
	rm -rf $(VENV) out build dist *.egg-info

#!/bin/sh
# All that is to be known of a card, in under ten minutes, on a machine that has little but Python and
# its driver: the tests that need one, speed, accuracy against the processor, memory. The figures go
# to a JSON file row by row, so that what ended early still tells what it found.
#
#   benchmarks/on_gpu.sh gpu.json                     # on a card; --minutes 9
#   WHEELS=wheels benchmarks/on_gpu.sh gpu.json       # packages where there is no network (train_on_gpu.py)
#   benchmarks/on_gpu.sh cpu.json --dry               # the same, tiny, on a processor: whether it runs
set -eu
cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"
scratch="${SCRATCH:-/tmp/vdenoise-gpu}"
export PYTHONPATH="$PWD:$scratch/packages${PYTHONPATH:+:$PYTHONPATH}"
"$python" - "$scratch" "${WHEELS:-}" <<'PYTHON'
import sys
from pathlib import Path
from benchmarks.train_on_gpu import install

scratch, wheels = sys.argv[1:]
install(Path(wheels) if wheels else None, Path(scratch), ("pytest",))
PYTHON
"$python" hatch_build.py # without a C compiler torch computes all
exec "$python" -m benchmarks.on_gpu "$@"

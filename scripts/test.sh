#!/usr/bin/env bash
# Every quality check in one command: lint, format, types, tests. Sets up .venv on the first call.
#   scripts/test.sh [pytest arguments]      SLOW=1 adds the tests that run for minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh
use_env test

ruff check .
ruff format --check .
mypy
export OMP_NUM_THREADS=1
python -m pytest -n "${JOBS:-$(nproc)}" "$@"

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
# Tests that kill runs at given moments get the machine to themselves. (nproc heeds OMP_NUM_THREADS: ask it before.)
if [ "${SLOW:-}" = 1 ]; then jobs=${JOBS:-1}; else jobs=${JOBS:-$(nproc)}; fi
export OMP_NUM_THREADS=1
python -m pytest -n "$jobs" "$@"

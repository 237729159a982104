#!/usr/bin/env bash
# Every quality check in one command: lint, format, types, tests. Sets up .venv on the first call.
#   scripts/test.sh [pytest arguments]      SLOW=1 adds the tests that run for minutes.
# COMPAT=oldest runs the tests alone, on the oldest versions that setup.py allows, in .venv-oldest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh
use_env test

if [ -z "${COMPAT:-}" ]; then
    ruff check .
    ruff format --check .
    mypy
fi
# Tests that kill runs at given moments get the machine to themselves. (nproc heeds OMP_NUM_THREADS: ask it before.)
if [ "${SLOW:-}" = 1 ]; then jobs=${JOBS:-1}; else jobs=${JOBS:-$(nproc)}; fi
export OMP_NUM_THREADS=1
python -m pytest -n "$jobs" "$@"

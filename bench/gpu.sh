#!/usr/bin/env bash
# All benchmarks on one CUDA GPU, in one call of a few minutes. Results: bench/results/<card>-<date>.json and a plot.
# Variables: PYTHON (default .venv/bin/python, else python3), OUTPUT (default bench/results).
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
OUTPUT=${OUTPUT:-bench/results}
"$PYTHON" -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "bench/gpu.sh: PyTorch sees no CUDA GPU")'

status=0
run() { # a benchmark that refuses a ratio does not keep the others from running
    echo "== bench.$*"
    "$PYTHON" -m "bench.$1" --device cuda --output "$OUTPUT" "${@:2}" || status=1
}
run step --classes 10 50 100 500 --precision fp32 fp16 bf16 amp --warmup 5 --steps 20
run step --classes 100 --precision fp16 bf16 --compile --warmup 5 --steps 20
run evaluate --classes 500 --images 1000 --batch 100 --precision fp32 fp16
run cocoop --classes 100 --precision fp32 fp16 --warmup 5 --steps 20
run scale --precision fp16 --classes 10 50 100 200 500 1000 --batches 1 16 64 --depths 1 9 --warmup 5 --steps 10
exit $status

#!/usr/bin/env bash
# MaPLe on real images in one command: every method, base-to-new, on handwritten digits, seeds 1 to 3.
# Sets up .venv on the first call. Writes output/quickstart/: a folder per run, table.md, table.json, table.png, table.html.
# Environment: DATA (default ./data), JOBS (runs at a time, default: one per core), FORCE=1 (run all again, keep the old folders),
#              METHODS (default: all rows of the table; "ZeroshotCLIP MaPLe" is the shortest that says something).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh
use_env

out=output/quickstart
methods=${METHODS:-ZeroshotCLIP ZeroshotCLIP2 CoOp CoCoOp VPT IVLP:quickstart_language_only IVLP MaPLe}
cores=$(python -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')

# sweep SEED... -- METHOD...
sweep() {
    local seeds=()
    while [ "$1" != -- ]; do seeds+=("$1"); shift; done
    shift
    python -m sweep base2new --methods "$@" --config quickstart --datasets digits mnist5k --seeds "${seeds[@]}" \
        --output "$out" --jobs "${JOBS:-$cores}" --gpus none ${FORCE:+--force}
}

# A sweep runs zero-shot once, as nothing in it is drawn; here it gets its three seeds like the others.
zero_shot=() learned=()
for method in $methods; do
    case $method in
        ZeroshotCLIP*) zero_shot+=("$method") ;;
        *) learned+=("$method") ;;
    esac
done
for seed in 1 2 3; do
    [ ${#zero_shot[@]} = 0 ] || sweep "$seed" -- "${zero_shot[@]}"
done
[ ${#learned[@]} = 0 ] || sweep 1 2 3 -- "${learned[@]}"

python -m reporting base2new "$out/base2new" --strict --output "$out/table.md" --output "$out/table.json" \
    --plot "$out/table.png" --html "$out/table.html"
echo "written: $out/table.md, table.json, table.png, table.html"

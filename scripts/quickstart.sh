#!/usr/bin/env bash
# MaPLe on real images in one command: zero-shot CLIP and MaPLe, base-to-new, on handwritten digits, seeds 1 to 3.
# Sets up .venv on the first call. Writes output/quickstart/: a folder per run, table.md, table.json, table.png.
# Environment: DATA (default ./data), JOBS (runs at a time, default: one per core), FORCE=1 (run all again).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/env.sh
use_env

export OUTPUT=output/quickstart CFG=quickstart
cores=$(python -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')
jobs=${JOBS:-$cores}
export OMP_NUM_THREADS=$((cores > jobs ? cores / jobs : 1))
mkdir -p "$OUTPUT"

# One line per model: its test on the new classes follows its training on the base classes.
for trainer in ZeroshotCLIP MaPLe; do
    for dataset in digits mnist5k; do
        for seed in 1 2 3; do
            echo "$trainer $dataset $seed"
        done
    done
done | xargs -P "$jobs" -L 1 bash -c '
    log="$OUTPUT/$1-$2-seed$3.log"
    if scripts/run.sh base2new_train "$1" "$2" "$3" >"$log" 2>&1 &&
        scripts/run.sh base2new_test "$1" "$2" "$3" >>"$log" 2>&1; then
        if [ "$(grep -c "is complete" "$log")" = 2 ]; then state="was complete"; else state="done"; fi
        echo "$1 on $2, seed $3: $state"
        rm -f "$log"
    else
        echo "error: $1 on $2, seed $3 failed; the end of $log:" >&2
        tail -n 5 "$log" >&2
        exit 1
    fi' quickstart

python -m reporting base2new "$OUTPUT/base2new" --format markdown --output "$OUTPUT/table.md" --strict
python -m reporting base2new "$OUTPUT/base2new" --format json --output "$OUTPUT/table.json" --strict
python -m reporting base2new "$OUTPUT/base2new" --plot "$OUTPUT/table.png" --strict
echo "written: $OUTPUT/table.md, table.json, table.png"

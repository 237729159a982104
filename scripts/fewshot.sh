#!/usr/bin/env bash
# Few-shot: train on all classes with K images per class, test on them.
#   scripts/fewshot.sh TRAINER DATASET SHOTS SEED      (environment: see scripts/run.sh)
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
SHOTS=$3 exec "$(dirname "$0")/run.sh" fewshot "$1" "$2" "$4"

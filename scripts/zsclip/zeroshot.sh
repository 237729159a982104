#!/usr/bin/env bash
# Zero-shot CLIP on all classes of a dataset.
#   scripts/zsclip/zeroshot.sh DATASET [CFG]      (TRAINER=ZeroshotCLIP2: ensemble; environment: see scripts/run.sh)
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
CFG=${2:-${CFG:-vit_b16}} exec "$(dirname "$0")/../run.sh" xd_test "${TRAINER:-ZeroshotCLIP}" "$1" "${SEED:-1}"

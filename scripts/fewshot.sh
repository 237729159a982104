#!/usr/bin/env bash
# Few-shot: train on all classes with K images per class, test on them.
#   scripts/fewshot.sh TRAINER DATASET SHOTS SEED      (environment: see scripts/run.sh)
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
case $1 in
    MaPLe) default=vit_b16_c2_ep5_batch4_2ctx ;;
    CoOp) default=vit_b16 ;;
    CoCoOp) default=vit_b16_c4_ep10_batch1_ctxv1 ;;
    IVLP) default=vit_b16_c2_ep5_batch4_2+2ctx ;;
    VPT) default=vit_b16_c2_ep5_batch4_4 ;;
    *) default=vit_b16 ;;
esac
SHOTS=$3 CFG=${CFG:-$default} exec "$(dirname "$0")/run.sh" fewshot "$1" "$2" "$4"

#!/usr/bin/env bash
# CoOp, few-shot, seeds 1 to 3: train on all classes, test on them.
#   scripts/coop/main.sh DATASET CFG CTP NCTX SHOTS CSC
# CTP: end, middle or front · NCTX: context tokens · CSC: True or False      (environment: see scripts/run.sh)
set -euo pipefail
[ $# -eq 6 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
base=${OUTPUT:-output}/coop/nctx${4}_csc${6}_ctp${3}
export OUTPUT=$base CFG=$2 SHOTS=$5 SEEDS=${SEEDS:-1 2 3}
export OPTS="TRAINER.COOP.CLASS_TOKEN_POSITION $3 TRAINER.COOP.N_CTX $4 TRAINER.COOP.CSC $6 ${OPTS:-}"
exec "$(dirname "$0")/../run.sh" xd_train CoOp "$1"

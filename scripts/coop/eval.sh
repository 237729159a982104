#!/usr/bin/env bash
# CoOp, seeds 1 to 3: test a model trained by scripts/coop/main.sh on SOURCE (imagenet) on another dataset.
#   scripts/coop/eval.sh DATASET CFG
# Environment: CTP (end), NCTX (16), SHOTS (16), CSC (False), as the model was trained; others: see scripts/run.sh
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
base=${OUTPUT:-output}/coop/nctx${NCTX:-16}_csc${CSC:-False}_ctp${CTP:-end}
export OUTPUT=$base CFG=$2 SEEDS=${SEEDS:-1 2 3}
export OPTS="TRAINER.COOP.CLASS_TOKEN_POSITION ${CTP:-end} TRAINER.COOP.N_CTX ${NCTX:-16} TRAINER.COOP.CSC ${CSC:-False} ${OPTS:-}"
exec "$(dirname "$0")/../run.sh" xd_test CoOp "$1"

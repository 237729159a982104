#!/usr/bin/env bash
# CoCoOp, base-to-new: train on the base classes, test on them.
#   scripts/cocoop/base2new_train.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c4_ep10_batch1_ctxv1} exec "$(dirname "$0")/../run.sh" base2new_train CoCoOp "$@"

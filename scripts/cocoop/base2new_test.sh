#!/usr/bin/env bash
# CoCoOp, base-to-new: test the model trained on base classes on the new ones.
#   scripts/cocoop/base2new_test.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c4_ep10_batch1_ctxv1} exec "$(dirname "$0")/../run.sh" base2new_test CoCoOp "$@"

#!/usr/bin/env bash
# CoCoOp, cross-dataset: test the model trained on SOURCE (imagenet) on another dataset.
#   scripts/cocoop/xd_test.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c4_ep10_batch1_ctxv1} exec "$(dirname "$0")/../run.sh" xd_test CoCoOp "$@"

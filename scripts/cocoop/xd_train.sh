#!/usr/bin/env bash
# CoCoOp, cross-dataset: train on all classes of a dataset (the paper: imagenet).
#   scripts/cocoop/xd_train.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c4_ep10_batch1_ctxv1} exec "$(dirname "$0")/../run.sh" xd_train CoCoOp "$@"

#!/usr/bin/env bash
# MaPLe, cross-dataset: train on all classes of a dataset (the paper: imagenet).
#   scripts/maple/xd_train_maple.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2ctx_cross_datasets} exec "$(dirname "$0")/../run.sh" xd_train MaPLe "$@"

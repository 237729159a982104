#!/usr/bin/env bash
# MaPLe, cross-dataset: test the model trained on SOURCE (imagenet) on another dataset.
#   scripts/maple/xd_test_maple.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2ctx_cross_datasets} exec "$(dirname "$0")/../run.sh" xd_test MaPLe "$@"

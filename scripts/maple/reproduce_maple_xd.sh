#!/usr/bin/env bash
# MaPLe, cross-dataset: test a released model (WEIGHTS: its folder) on a dataset.
#   scripts/maple/reproduce_maple_xd.sh DATASET SEED WEIGHTS      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2ctx_cross_datasets} exec "$(dirname "$0")/../run.sh" reproduce_xd MaPLe "$@"

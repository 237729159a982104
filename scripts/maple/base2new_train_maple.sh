#!/usr/bin/env bash
# MaPLe, base-to-new: train on the base classes, test on them.
#   scripts/maple/base2new_train_maple.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2ctx} exec "$(dirname "$0")/../run.sh" base2new_train MaPLe "$@"

#!/usr/bin/env bash
# MaPLe, base-to-new: test the model trained on base classes on the new ones.
#   scripts/maple/base2new_test_maple.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2ctx} exec "$(dirname "$0")/../run.sh" base2new_test MaPLe "$@"

#!/usr/bin/env bash
# MaPLe, base-to-new: test a released model (WEIGHTS: its folder) on base and new classes.
#   scripts/maple/reproduce_maple.sh DATASET SEED WEIGHTS      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2ctx} exec "$(dirname "$0")/../run.sh" reproduce MaPLe "$@"

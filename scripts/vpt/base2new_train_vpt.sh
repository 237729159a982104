#!/usr/bin/env bash
# Deep vision prompting, base-to-new: train on the base classes, test on them.
#   scripts/vpt/base2new_train_vpt.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4} exec "$(dirname "$0")/../run.sh" base2new_train VPT "$@"

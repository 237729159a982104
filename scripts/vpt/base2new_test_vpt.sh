#!/usr/bin/env bash
# Deep vision prompting, base-to-new: test the model trained on base classes on the new ones.
#   scripts/vpt/base2new_test_vpt.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4} exec "$(dirname "$0")/../run.sh" base2new_test VPT "$@"

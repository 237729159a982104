#!/usr/bin/env bash
# Deep vision prompting, cross-dataset: test the model trained on SOURCE (imagenet) on another dataset.
#   scripts/vpt/xd_test_vpt.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4} exec "$(dirname "$0")/../run.sh" xd_test VPT "$@"

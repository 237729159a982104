#!/usr/bin/env bash
# Deep vision prompting, cross-dataset: train on all classes of a dataset (the paper: imagenet).
#   scripts/vpt/xd_train_vpt.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4} exec "$(dirname "$0")/../run.sh" xd_train VPT "$@"

#!/usr/bin/env bash
# Independent vision-language prompting, cross-dataset: train on all classes of a dataset (the paper: imagenet).
#   scripts/independent-vlp/xd_train_ivlp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2+2ctx} exec "$(dirname "$0")/../run.sh" xd_train IVLP "$@"

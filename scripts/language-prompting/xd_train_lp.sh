#!/usr/bin/env bash
# Deep language prompting, cross-dataset: train on all classes of a dataset (the paper: imagenet).
#   scripts/language-prompting/xd_train_lp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4ctx_language_only} exec "$(dirname "$0")/../run.sh" xd_train IVLP "$@"

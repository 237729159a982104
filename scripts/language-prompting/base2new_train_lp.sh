#!/usr/bin/env bash
# Deep language prompting, base-to-new: train on the base classes, test on them.
#   scripts/language-prompting/base2new_train_lp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4ctx_language_only} exec "$(dirname "$0")/../run.sh" base2new_train IVLP "$@"

#!/usr/bin/env bash
# Independent vision-language prompting, base-to-new: train on the base classes, test on them.
#   scripts/independent-vlp/base2new_train_ivlp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2+2ctx} exec "$(dirname "$0")/../run.sh" base2new_train IVLP "$@"

#!/usr/bin/env bash
# Independent vision-language prompting, cross-dataset: test the model trained on SOURCE (imagenet) on another dataset.
#   scripts/independent-vlp/xd_test_ivlp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2+2ctx} exec "$(dirname "$0")/../run.sh" xd_test IVLP "$@"

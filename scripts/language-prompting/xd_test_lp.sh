#!/usr/bin/env bash
# Deep language prompting, cross-dataset: test the model trained on SOURCE (imagenet) on another dataset.
#   scripts/language-prompting/xd_test_lp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4ctx_language_only} exec "$(dirname "$0")/../run.sh" xd_test IVLP "$@"

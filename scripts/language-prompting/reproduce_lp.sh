#!/usr/bin/env bash
# Deep language prompting, base-to-new: test a released model (WEIGHTS: its folder) on base and new classes.
#   scripts/language-prompting/reproduce_lp.sh DATASET SEED WEIGHTS      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4ctx_language_only} exec "$(dirname "$0")/../run.sh" reproduce IVLP "$@"

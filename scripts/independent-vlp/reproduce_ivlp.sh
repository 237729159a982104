#!/usr/bin/env bash
# Independent vision-language prompting, base-to-new: test a released model (WEIGHTS: its folder) on base and new classes.
#   scripts/independent-vlp/reproduce_ivlp.sh DATASET SEED WEIGHTS      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2+2ctx} exec "$(dirname "$0")/../run.sh" reproduce IVLP "$@"

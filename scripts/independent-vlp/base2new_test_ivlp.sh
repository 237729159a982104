#!/usr/bin/env bash
# Independent vision-language prompting, base-to-new: test the model trained on base classes on the new ones.
#   scripts/independent-vlp/base2new_test_ivlp.sh DATASET SEED      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_2+2ctx} exec "$(dirname "$0")/../run.sh" base2new_test IVLP "$@"

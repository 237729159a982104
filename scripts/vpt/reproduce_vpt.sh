#!/usr/bin/env bash
# Deep vision prompting, base-to-new: test a released model (WEIGHTS: its folder) on base and new classes.
#   scripts/vpt/reproduce_vpt.sh DATASET SEED WEIGHTS      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c2_ep5_batch4_4} exec "$(dirname "$0")/../run.sh" reproduce VPT "$@"

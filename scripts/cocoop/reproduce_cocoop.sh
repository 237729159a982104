#!/usr/bin/env bash
# CoCoOp, base-to-new: test a released model (WEIGHTS: its folder) on base and new classes.
#   scripts/cocoop/reproduce_cocoop.sh DATASET SEED WEIGHTS      (environment: see scripts/run.sh)
CFG=${CFG:-vit_b16_c4_ep10_batch1_ctxv1} exec "$(dirname "$0")/../run.sh" reproduce CoCoOp "$@"

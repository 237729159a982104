#!/usr/bin/env bash
# The one runner behind the protocol scripts: one step of one run.
#   scripts/run.sh STEP TRAINER DATASET SEED [WEIGHTS]
# STEP: base2new_train  train on the base classes, test on them
#       base2new_test   test that model on the new classes
#       reproduce       test a released model, in the folder WEIGHTS, on base and on new classes
#       xd_train        train on all classes of DATASET (the paper: imagenet)
#       xd_test         test that model on another dataset, DATASET
#       reproduce_xd    test a released model, in the folder WEIGHTS, on DATASET
#       fewshot         train on all classes, test on them
# TRAINER as in `python train.py --list`; DATASET is a file name of configs/datasets without .yaml, or a .yaml file.
# Environment: DATA    data root (default ./data)           OUTPUT  results (default ./output)
#              SHOTS   images per class (16)                CFG     configs/trainers/TRAINER/CFG.yaml (the paper's)
#              LOADEP  epoch to test (best, else last)      SOURCE  dataset that xd_test's model was trained on (imagenet)
#              SEEDS   several seeds in place of SEED       FORCE=1 run again, keep the old folder
#              PYTHON  interpreter                          OPTS    further KEY VALUE pairs for train.py
#              DRY_RUN=1 print the train.py commands, run nothing
# Relative paths start at the project's folder.
# A complete run is skipped, a broken one resumed, one that answers another question refused (FORCE=1). Folders and arguments of the steps: sweep/layout.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' scripts/run.sh >&2
    exit 2
}
[ $# -ge 3 ] && [ $# -le 5 ] || usage
[ -n "${SEEDS:-${4:-}}" ] || usage

python=${PYTHON:-}
if [ -z "$python" ]; then
    python=python3
    [ ! -x .venv/bin/python ] || python=.venv/bin/python
fi
exec "$python" -m sweep.step "$@"

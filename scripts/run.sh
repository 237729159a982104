#!/usr/bin/env bash
# The one runner behind the protocol scripts: one step of one run.
#   scripts/run.sh STEP TRAINER DATASET SEED
# STEP: base2new_train  train on the base classes, test on them
#       base2new_test   test that model on the new classes
#       xd_train        train on all classes of DATASET (the paper: imagenet)
#       xd_test         test that model on another dataset, DATASET
# TRAINER as in `python train.py --list`; DATASET is a file name of configs/datasets without .yaml.
# Environment: DATA    data root (default ./data)           OUTPUT  results (default ./output)
#              SHOTS   images per class (16)                CFG     configs/trainers/TRAINER/CFG.yaml
#              LOADEP  epoch to test (the last)             SOURCE  dataset that xd_test's model was trained on (imagenet)
#              SEEDS   several seeds in place of SEED        FORCE=1 run again, keep the old folder
#              PYTHON  interpreter                          OPTS    further KEY VALUE pairs for train.py
# A complete run is skipped, a broken one resumed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "scripts/run.sh" >&2; exit 2; }
[ $# -ge 3 ] && [ $# -le 4 ] || usage
step=$1 trainer=$2 dataset=$3
seeds=${SEEDS:-${4:-}}
[ -n "$seeds" ] || usage

python=${PYTHON:-}
if [ -z "$python" ]; then
    python=python3
    [ ! -x .venv/bin/python ] || python=.venv/bin/python
fi
data=${DATA:-data} output=${OUTPUT:-output} shots=${SHOTS:-16} source=${SOURCE:-imagenet}
cfg=${CFG:?"set CFG to a file name of configs/trainers/$trainer without .yaml"}
read -ra opts <<<"${OPTS:-}"

# run FOLDER CLASSES ARGUMENT...
run() {
    local folder=$1 classes=$2
    shift 2
    "$python" train.py --trainer "$trainer" --root "$data" --seed "$seed" --output-dir "$folder" \
        --config-file "configs/trainers/$trainer/$cfg.yaml" --dataset-config-file "configs/datasets/$dataset.yaml" \
        ${FORCE:+--force} "$@" DATASET.NUM_SHOTS "$shots" DATASET.SUBSAMPLE_CLASSES "$classes" "${opts[@]}"
}

# Zero-shot rows have no model of their own to test.
model() {
    case $trainer in
        ZeroshotCLIP*) echo "--eval-only" ;;
        *) echo "--eval-only --model-dir $1 ${LOADEP:+--load-epoch $LOADEP}" ;;
    esac
}

for seed in $seeds; do
    case $step in
        base2new_train)
            run "$output/base2new/train_base/$dataset/shots_$shots/$trainer/$cfg/seed$seed" base ;;
        base2new_test)
            run "$output/base2new/test_new/$dataset/shots_$shots/$trainer/$cfg/seed$seed" new \
                $(model "$output/base2new/train_base/$dataset/shots_$shots/$trainer/$cfg/seed$seed") ;;
        xd_train)
            run "$output/$dataset/$trainer/${cfg}_${shots}shots/seed$seed" all ;;
        xd_test)
            run "$output/evaluation/$trainer/${cfg}_${shots}shots/$dataset/seed$seed" all \
                $(model "$output/$source/$trainer/${cfg}_${shots}shots/seed$seed") ;;
        *) echo "error: unknown step '$step'" >&2; usage ;;
    esac
done

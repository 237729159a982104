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
#              SHOTS   images per class (16)                CFG     configs/trainers/TRAINER/CFG.yaml
#              LOADEP  epoch to test (best, else last)      SOURCE  dataset that xd_test's model was trained on (imagenet)
#              SEEDS   several seeds in place of SEED       FORCE=1 run again, keep the old folder
#              PYTHON  interpreter                          OPTS    further KEY VALUE pairs for train.py
# A complete run is skipped, a broken one resumed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' scripts/run.sh >&2
    exit 2
}
[ $# -ge 3 ] && [ $# -le 5 ] || usage
step=$1 trainer=$2 dataset=$3 weights=${5:-}
seeds=${SEEDS:-${4:-}}
[ -n "$seeds" ] || usage

python=${PYTHON:-}
if [ -z "$python" ]; then
    python=python3
    [ ! -x .venv/bin/python ] || python=.venv/bin/python
fi
output=${OUTPUT:-output} shots=${SHOTS:-16} source=${SOURCE:-imagenet}
cfg=${CFG:?"set CFG to a file name of configs/trainers/$trainer without .yaml"}
dataset_config=configs/datasets/$dataset.yaml
case $dataset in *.yaml) dataset_config=$dataset dataset=$(basename "$dataset" .yaml) ;; esac
read -ra opts <<<"${OPTS:-}"

# run FOLDER CLASSES [ARGUMENT...]
run() {
    local folder=$1 classes=$2
    shift 2
    "$python" train.py --trainer "$trainer" --root "${DATA:-data}" --seed "$seed" --output-dir "$folder" \
        --config-file "configs/trainers/$trainer/$cfg.yaml" --dataset-config-file "$dataset_config" \
        ${FORCE:+--force} "$@" DATASET.NUM_SHOTS "$shots" DATASET.SUBSAMPLE_CLASSES "$classes" "${opts[@]}"
}

# test FOLDER CLASSES MODEL_FOLDER: zero-shot rows have no model of their own to load
test_model() {
    case $trainer in
        ZeroshotCLIP*) run "$1" "$2" --eval-only ;;
        *) run "$1" "$2" --eval-only --model-dir "$3" ${LOADEP:+--load-epoch "$LOADEP"} ;;
    esac
}

need_weights() {
    if [ ! -d "$weights" ]; then
        echo "error: WEIGHTS is '$weights': expected the folder of a released model of seed $seed" >&2
        exit 2
    fi
}

for seed in $seeds; do
    tail="$dataset/shots_$shots/$trainer/$cfg/seed$seed"
    xd="$trainer/${cfg}_${shots}shots"
    case $step in
        base2new_train) run "$output/base2new/train_base/$tail" base ;;
        base2new_test) test_model "$output/base2new/test_new/$tail" new "$output/base2new/train_base/$tail" ;;
        reproduce)
            need_weights
            test_model "$output/base2new/test_base/$tail" base "$weights"
            test_model "$output/base2new/test_new/$tail" new "$weights"
            ;;
        xd_train) run "$output/$dataset/$xd/seed$seed" all ;;
        xd_test) test_model "$output/evaluation/$xd/$dataset/seed$seed" all "$output/$source/$xd/seed$seed" ;;
        reproduce_xd)
            need_weights
            test_model "$output/evaluation/$xd/$dataset/seed$seed" all "$weights"
            ;;
        fewshot) run "$output/fewshot/$tail" all ;;
        *)
            echo "error: unknown step '$step'" >&2
            usage
            ;;
    esac
done

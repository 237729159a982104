#!/usr/bin/env bash
# Base-to-new on your own images in one command: zero-shot CLIP and MaPLe, three seeds, then the table.
#   scripts/own_images.sh PATH [TEMPLATE]
# PATH:     a folder with one sub-folder per class, or a CSV file with path,label,split (docs/datasets.md).
# TEMPLATE: prompt with {} for the class name (default: "a photo of a {}.").
# Environment: CFG       quickstart: the small CLIP of this project (default); vit_b16_c2_ep5_batch4_2ctx: CLIP ViT-B/16
#              TRAINERS  methods (default: ZeroshotCLIP MaPLe)      SEEDS, SHOTS, OUTPUT, FORCE, PYTHON: see scripts/run.sh
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }
[ -e "$1" ] || { echo "error: there is no $1" >&2; exit 2; }
path=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
template=${2:-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$(basename "${path%.csv}")
export OUTPUT=${OUTPUT:-output/own_images/$name} SEEDS=${SEEDS:-1 2 3} CFG=${CFG:-quickstart}
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ ! -x .venv/bin/python ] || PYTHON=.venv/bin/python
fi
export PYTHON

# A dataset is a config file: this one is written for the occasion.
mkdir -p "$OUTPUT"
"$PYTHON" - "$path" "$template" >"$OUTPUT/$name.yaml" <<'PYTHON'
import json, sys
path, template = map(json.dumps, sys.argv[1:])
print(f'DATASET:\n  NAME: "Folder"\n  PATH: {path}\n  TEMPLATE: {template}')
PYTHON

for trainer in ${TRAINERS:-ZeroshotCLIP MaPLe}; do
    scripts/run.sh base2new_train "$trainer" "$OUTPUT/$name.yaml"
    scripts/run.sh base2new_test "$trainer" "$OUTPUT/$name.yaml"
done
"$PYTHON" -m reporting base2new "$OUTPUT/base2new" --strict

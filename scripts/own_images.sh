#!/usr/bin/env bash
# Base-to-new on your own images in one command: zero-shot CLIP and MaPLe, three seeds, then the table.
#   scripts/own_images.sh PATH [TEMPLATE]
# PATH:     a folder with one sub-folder per class, or a CSV file with path,label,split (docs/datasets.md).
# TEMPLATE: prompt with {} for the class name (default: "a photo of a {}.").
# The model is CLIP ViT-B/16 with the paper's settings; its weights (about 350 MB) are downloaded once, into ~/.cache/clip.
# Environment: CFG       a setting of the methods. CFG=quickstart takes the small CLIP that comes with the project: quick,
#                        but it reads digits and letters only, and tells no other words apart
#              TRAINERS  methods (default: ZeroshotCLIP MaPLe)
#              OUTPUT    results, relative to the working folder (default: output/own_images/NAME-XXXXXX in the project;
#                        NAME is PATH's, XXXXXX stands for where PATH lies, so that two folders of one name stay apart)
#              FORCE=1   run again, where settings, classes or images have changed; the earlier runs are kept beside
#              SEEDS, SHOTS, OPTS, PYTHON, DRY_RUN: see scripts/run.sh
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2; exit 2; }
[ -e "$1" ] || { echo "error: there is no $1" >&2; exit 2; }
if [ -d "$1" ]; then
    path=$(cd "$1" && pwd)
else
    path=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
fi
template=${2:-}
case ${OUTPUT:-} in
    "" | /*) ;;
    *) OUTPUT=$PWD/$OUTPUT ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ ! -x .venv/bin/python ] || PYTHON=.venv/bin/python
fi
name=$(basename "${path%.csv}")
mark=$("$PYTHON" -c 'import hashlib, os, sys; print(hashlib.sha256(os.fsencode(sys.argv[1])).hexdigest()[:6])' "$path")
export PYTHON OUTPUT=${OUTPUT:-output/own_images/$name-$mark} SEEDS=${SEEDS:-1 2 3}
echo "results: $OUTPUT"
if [ -z "${CFG:-}" ] && [[ " ${OPTS:-} " != *" MODEL.BACKBONE.NAME "* ]] && [ ! -e ~/.cache/clip/ViT-B-16.pt ]; then
    echo "CLIP ViT-B/16 (about 350 MB) will be downloaded into ~/.cache/clip"
fi

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
[ -n "${DRY_RUN:-}" ] || "$PYTHON" -m reporting base2new "$OUTPUT/base2new" --strict

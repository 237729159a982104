#!/usr/bin/env bash
# Every run behind the paper's tables, then the tables beside the paper's figures.
#   scripts/reproduce_paper.sh [base2new|xd|dg|ablation|fewshot|all] [options of python -m sweep]
# base2new: table 3 · xd: table 4 · dg: table 5 · ablation: table 1 · all: these four (the default)
# fewshot:  1 to 16 shots for every method; not part of "all", because the paper has no table of it.
# Shows what will run, what is complete, and how long it took where it was run before; --dry-run stops there.
# Options: --slurm --gres gpu:1, --per-gpu 2, --methods MaPLe, --seeds 1, ... (python -m sweep --help).
# Environment: DATA    data root (default ./data)      OUTPUT  results (default ./output); tables go to OUTPUT/tables
#              PYTHON  interpreter
# Stop it at any time: the same command goes on. Costs, commands one by one, expected spread: docs/reproduce.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=all
case ${1:-} in
    base2new | xd | dg | ablation | fewshot | all) what=$1 && shift ;;
    -*) ;;
    ?*)
        echo "error: '$1' is no table: expected base2new, xd, dg, ablation, fewshot or all" >&2
        exit 2
        ;;
esac
output=${OUTPUT:-output} dry=
for argument; do
    case $argument in
        --output | --output=*)
            echo "error: name the folder of the results as OUTPUT=... in the environment" >&2
            exit 2
            ;;
        --dry-run) dry=1 ;;
        --no-wait) dry=1 ;;
    esac
done
protocols=$what
[ "$what" != all ] || protocols="base2new ablation xd dg"
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=python3
    [ ! -x .venv/bin/python ] || python=.venv/bin/python
fi

code=0
# shellcheck disable=SC2086  # a list of words
"$python" -m sweep $protocols --output "$output" --check-data "$@" || code=$?
[ -z "$dry" ] && [ "$code" -le 1 ] || exit "$code" # 1: some runs failed, and the table shows which

for protocol in $protocols; do
    folder=$output against=(--against paper) methods=()
    case $protocol in
        base2new) folder=$output/base2new ;;
        ablation) folder=$output/base2new methods=(--methods VPT IVLP MaPLe) ;;
        fewshot) folder=$output/fewshot against=() ;;
    esac
    echo
    "$python" -m reporting "$protocol" "$folder" "${methods[@]}" "${against[@]}" --strict \
        --output "$output/tables/$protocol.md" --output "$output/tables/$protocol.json" \
        --plot "$output/tables/$protocol.png" --html "$output/tables/$protocol.html" || code=1
done
exit "$code"

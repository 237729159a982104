# Sourced by scripts that set everything up by themselves: makes .venv and installs the library and what the lab needs
# into it, once.
# use_env [EXTRA]   EXTRA: an optional-dependency group of setup.py: lab (default), or test
# PYTHON names another interpreter than python3 for a new .venv.
# COMPAT=oldest: .venv-oldest instead, with the oldest versions that setup.py allows (tools/oldest.py).

use_env() {
    local extra="${1:-lab}" python="${PYTHON:-python3}" env=.venv stamp want
    local root constraints=()
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    case ${COMPAT:-} in
        '') ;;
        oldest) env=.venv-oldest ;;
        *)
            echo "error: COMPAT is '$COMPAT': expected oldest, or nothing." >&2
            return 1
            ;;
    esac
    if [ ! -x "$root/$env/bin/python" ]; then
        if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "error: Python 3.10 or newer is needed, and '$python' is not: set PYTHON to one." >&2
            return 1
        fi
        echo "making $env with $("$python" --version)"
        "$python" -m venv "$root/$env" || return 1
    fi
    stamp="$root/$env/.installed-$extra"
    want="$(cat "$root/setup.py" "$root/pyproject.toml" | cksum) $root"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        echo "installing with [$extra] (PyTorch is large: this takes a few minutes once)"
        if [ "$env" = .venv-oldest ]; then
            "$root/$env/bin/python" "$root/tools/oldest.py" >"$root/$env/constraints.txt" || return 1
            constraints=(--constraint "$root/$env/constraints.txt")
        fi
        "$root/$env/bin/python" -m pip install --quiet --upgrade "pip>=23" || return 1
        "$root/$env/bin/python" -m pip install --quiet "${constraints[@]}" --editable "$root[$extra]" || return 1
        echo "$want" >"$stamp"
    fi
    export PATH="$root/$env/bin:$PATH"
    export PYTHON="$root/$env/bin/python" # for the scripts that this one calls
}

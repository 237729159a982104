# Sourced by scripts that set everything up by themselves: makes .venv and installs the project into it, once.
# use_env [EXTRA]   EXTRA: an optional-dependency group of setup.py ("test")
# PYTHON names another interpreter than python3 for a new .venv.

use_env() {
    local extra="${1:-}" python="${PYTHON:-python3}" stamp want
    local root
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    if [ ! -x "$root/.venv/bin/python" ]; then
        if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "error: Python 3.10 or newer is needed, and '$python' is not: set PYTHON to one." >&2
            return 1
        fi
        echo "making .venv with $("$python" --version)"
        "$python" -m venv "$root/.venv" || return 1
    fi
    stamp="$root/.venv/.installed-${extra:-base}"
    want="$(cat "$root/setup.py" "$root/pyproject.toml" | cksum) $root"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
        echo "installing${extra:+ with [$extra]} (PyTorch is large: this takes a few minutes once)"
        "$root/.venv/bin/python" -m pip install --quiet --upgrade "pip>=23" || return 1
        "$root/.venv/bin/python" -m pip install --quiet --editable "$root${extra:+[$extra]}" || return 1
        echo "$want" >"$stamp"
    fi
    export PATH="$root/.venv/bin:$PATH"
}

"""Sweeps: every run behind a table, planned, carried out and gone on with. See docs/reproduce.md.

    python -m sweep base2new --methods METHOD METHOD:CONFIG --datasets DATASET --dry-run

Nothing here imports PyTorch: planning is quick, and each run is a ``train.py`` process of its own.
"""

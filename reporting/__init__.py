"""From run records to tables, plots and one report page: ``python -m reporting --help``.

This package reads files only and imports nothing of the training code.
"""

"""Getting datasets and checking them: what stands behind `python -m datasets`."""

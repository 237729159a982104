"""Settings of methods and datasets (YAML), and what the rest of the house must know of each (facts.py)."""

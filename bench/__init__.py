"""Benchmarks: the usual implementation of prompted CLIP beside ours, measured in one run."""

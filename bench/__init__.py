"""Benchmarks: each prints what it measured beside what was promised. Ratios are taken side by side in one run."""

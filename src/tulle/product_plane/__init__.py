"""Verbs on one product, one per file: plan, then apply."""

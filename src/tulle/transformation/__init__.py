"""Runs a product's own code, isolated, on inputs pinned at one moment each."""

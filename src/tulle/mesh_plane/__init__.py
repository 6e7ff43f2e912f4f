"""Verbs on all products, which it sees only through the client."""

"""Decisions, pure: (request, rules) -> verdict with reasons and obligations."""

"""Reaches any port from outside, as any reader does."""

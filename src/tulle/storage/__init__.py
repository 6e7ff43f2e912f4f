"""The bitemporal log: append-only tables with two times, one ledger per product that is the commit."""

"""Infrastructure: processes, names, identities, blobs. One interface and an embedded default per file."""

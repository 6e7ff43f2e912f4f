"""The only room that knows documents from outside: manifests, wire answers, SQL text, descriptors."""

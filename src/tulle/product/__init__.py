"""Values of one product: manifest, ports, reads and answers. Nothing here does I/O."""

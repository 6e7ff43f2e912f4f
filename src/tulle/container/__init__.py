"""One product at run time: sidecar, intake, publish, serve, control, observe. Imported by no other room."""

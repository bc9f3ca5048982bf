"""Long-running processes: one runner owns each, watches its worker, and starts it again; how each one is."""

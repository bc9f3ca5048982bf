"""What the graph consists of: one module per subject."""

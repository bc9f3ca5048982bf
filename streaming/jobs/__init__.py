"""The Spark jobs, one module each: source, transform, sink."""

"""The Spark jobs, and the runner that every long-running process of the platform goes through."""

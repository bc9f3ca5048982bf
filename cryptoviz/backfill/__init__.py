"""The configured history, fetched page by page from the exchanges, and goes on where it stopped."""

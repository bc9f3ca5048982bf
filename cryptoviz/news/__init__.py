"""News: feeds polled, read, compared with what is known, understood, and staged for the gate."""

"""Gaps in the history: found, labelled with their cause, healed; and how complete each series is."""

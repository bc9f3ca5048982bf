-- Takes rows out of the staged ones. Parameter: rows.
DELETE FROM import_trades WHERE row_number = ANY(%(rows)s)

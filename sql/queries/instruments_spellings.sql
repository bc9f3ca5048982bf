-- How the exchange itself spells each pair that it lists or has listed; null: from before that was kept.
SELECT pair, spelling FROM instruments WHERE exchange = %(exchange)s

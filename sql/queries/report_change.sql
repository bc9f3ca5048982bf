-- When other expectations of some asset last failed than the time before, or an asset was judged for the first time.
SELECT evaluated_at FROM quality_documents WHERE turned ORDER BY evaluated_at DESC LIMIT 1

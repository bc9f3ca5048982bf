-- One validation document.
-- Parameters: asset, evaluated_at.
SELECT document FROM quality_documents WHERE asset = %(asset)s AND evaluated_at = %(evaluated_at)s

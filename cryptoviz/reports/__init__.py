"""The reports: a static site that says in words what the gate found.

quality_results, quality_documents, quarantine -> facts -> pages -> <state>/reports/site -> server on loopback
"""

"""How long rows stay where: hot tables, cold storage, the platform's own records."""

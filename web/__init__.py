"""Pages over the store: findings, runs, evidence."""

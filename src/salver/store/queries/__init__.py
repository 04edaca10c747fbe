"""Named queries, one file per table. Each function is one step of a transaction that its caller holds."""

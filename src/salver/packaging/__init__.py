"""Makes packages: one version's files with its lock, its example and the answer that it gave."""

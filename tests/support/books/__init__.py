"""A market of few levels that plays an exchange: its true book at every id, its diffs and its snapshots."""

"""Every kind of event of every venue: frames of each, a strategy that answers them all, and the table in docs/feeds.md."""

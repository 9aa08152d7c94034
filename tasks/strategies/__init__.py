"""The built-in strategies, one file each; `registry` knows them by name."""

"""Pages that are written to a file: what they show, and what tests look for in them."""

"""Ledgers that are moved, and what is in them."""

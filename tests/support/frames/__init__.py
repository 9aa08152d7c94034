"""Frames for tests: as exchanges write them, and through both readers."""

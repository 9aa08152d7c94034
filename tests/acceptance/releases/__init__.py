"""What releases before left behind, and their processes beside those of today."""

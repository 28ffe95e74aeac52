"""conv-lint."""

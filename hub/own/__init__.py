"""The hub's own signal types and their rules: data, always loaded."""

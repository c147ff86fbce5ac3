"""Small real servers that play the agencies and partners with which connectors speak."""

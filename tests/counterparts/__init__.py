"""Small real servers that play the agencies' systems."""

"""Signaalhub: agencies tell each other what they must know, and nothing more."""

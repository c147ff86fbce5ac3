"""What the hub knows: pure functions and frozen values. No I/O, no clock, no environment."""

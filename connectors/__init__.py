"""One folder per agency system: its format on one side, signals on the other."""

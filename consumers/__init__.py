"""What acts on deliveries: one folder each, in the same shape as a connector."""

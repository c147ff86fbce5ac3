"""What acts on deliveries. The first consumers arrive with the staff inbox."""

"""Topics: one small interface, implemented embedded (in the SQL database) and, later, on Kafka."""

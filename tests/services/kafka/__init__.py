"""Apache Kafka: fetched as Java archives, run as one process that is broker and controller."""

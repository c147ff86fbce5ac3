"""The SQL database: tables and the few queries on them. Drivers' errors end here."""

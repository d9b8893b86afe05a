"""One way to a database for every service: SQLite for one machine, PostgreSQL for more."""

"""How a service speaks HTTP: a table of endpoints, a guard before each, one shape of error."""

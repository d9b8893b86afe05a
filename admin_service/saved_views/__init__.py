"""The lists that an operator keeps under a name: filters only, and only their own."""

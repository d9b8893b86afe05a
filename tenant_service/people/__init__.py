"""People of the tenants: users, their places in tenants, their sessions."""

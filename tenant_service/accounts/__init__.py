"""Connected accounts: the channels that a tenant has linked, as operators see and remove them (R-021)."""

"""The reading side of this service's audit log, for the admin service and the panel."""

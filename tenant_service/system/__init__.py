"""The tenant service's own queues and workflows, for the admin service in an operator's name."""

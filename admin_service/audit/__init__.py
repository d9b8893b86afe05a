"""The audit log as one list over both services' databases (data-model 2.6: a federated read, no copy)."""

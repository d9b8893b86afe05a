"""Several processes that are one sidecar: who starts and keeps them, and how they answer as one."""

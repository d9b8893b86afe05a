"""How Sallyport is put on a machine: configurations to copy, and the stand-in edge for development."""

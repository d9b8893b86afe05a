"""What a process tells the people who run it: log lines and metrics."""

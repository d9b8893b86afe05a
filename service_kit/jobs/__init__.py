"""Work that happens after the answer: messages that must go out, and jobs that run by the clock."""

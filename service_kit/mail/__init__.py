"""Electronic mail: a letter, the message made of it, and the ways by which it leaves."""

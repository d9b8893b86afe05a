"""Who is an operator, with which role: asked on every request, answered from memory."""

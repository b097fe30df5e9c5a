"""Load over HTTP and what follows from it. Knows a server by its URL and its process id, and nothing of models."""

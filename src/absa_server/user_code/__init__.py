"""A model's own `code/inference.py`, run as AWS's inference toolkits run it; off unless switched on by name."""

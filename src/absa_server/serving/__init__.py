"""Between HTTP and the domain: who holds the model, how many requests may wait, and for how long."""

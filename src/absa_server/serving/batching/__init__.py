"""Batching across requests: chains of many requests share the forward passes of the models. Knows no HTTP."""

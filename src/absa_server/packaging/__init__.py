"""Artifacts made for the server, beside it: packed, quantized, measured, uploaded. Never imported while serving."""

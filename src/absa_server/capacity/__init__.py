"""From one instance's measured figures to a fleet: how many, at what price, and what a burst does to it.

Knows a load test by its JSON, AWS by its documented scaling rules, and no AWS API.
"""

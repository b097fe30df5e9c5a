"""The domain: from texts to aspects and polarities. Knows no HTTP and no torch; a network is a `types.Engine` to it."""

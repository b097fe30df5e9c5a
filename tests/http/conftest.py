"""The gated engine and its pipeline, for tests of what is sent while a model works."""

from tests.serving.conftest import engine, eventually, loaded, pipeline

__all__ = ["engine", "eventually", "loaded", "pipeline"]

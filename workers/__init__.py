"""A provider of music, put together."""

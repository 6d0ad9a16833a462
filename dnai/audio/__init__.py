"""Sound files: samples, tags and features."""

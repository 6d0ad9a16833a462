"""A folder of music and its catalogue."""

"""The genre model: from features to a genre, and the space that vectors live in."""

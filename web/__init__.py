"""A listener's web app, put together."""

"""Words to intent to reply, and what has been learned."""

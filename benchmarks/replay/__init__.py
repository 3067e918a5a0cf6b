"""Conversations replayed through routers: who breaks them, and what they cost with prompt caches priced in."""

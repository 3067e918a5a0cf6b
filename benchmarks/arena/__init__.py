"""The arena: fake providers with rolling faults, and the routers that a user could put in front of them."""

"""A long mixed load on one server: what it holds must not grow."""

"""Makes the tables that ship with the catalogue."""

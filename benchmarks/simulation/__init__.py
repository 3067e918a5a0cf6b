"""Seeded simulation of many workers and models on a virtual clock, with the health book as it ships."""

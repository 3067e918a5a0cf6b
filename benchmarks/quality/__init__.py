"""Routing quality: training of the difficulty weights, and their measurement beside other routers."""

"""Cameras in, stamped frames out: drivers, nodes, clocks, recordings."""

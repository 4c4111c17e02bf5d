"""Frames of a board in, a Rig with its joint covariance out."""

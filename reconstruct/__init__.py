"""Keypoints of several cameras in, 3D points with covariance out."""

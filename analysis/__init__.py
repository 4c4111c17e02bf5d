"""3D points in; angles, events, cycles and measures out."""

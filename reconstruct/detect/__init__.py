"""Where 2D keypoints come from: one file a detector or reader."""

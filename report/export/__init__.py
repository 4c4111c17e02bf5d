"""Views of a trial for other programs, one file a format."""

"""One file a format; each a view of the stored trial."""

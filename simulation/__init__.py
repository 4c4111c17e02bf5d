"""A lab that does not exist, with known truth."""

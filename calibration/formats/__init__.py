"""Calibrations of other programs, in and out: one file a format, one door for all of them.

A file read here has no covariance (`Rig.cov` is NaN): none of these formats holds one. A file
written here keeps what its format can hold to the last bits; what it cannot, and every lens that
had to be refitted, is returned in words.
"""

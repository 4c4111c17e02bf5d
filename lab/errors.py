"""What went wrong, where, and what the operator can do about it."""

from __future__ import annotations


class LabError(Exception):
    """A fault that the operator can mend; its message is one readable sentence or two.

    Args:
        what: What happened, without a trailing full stop; expected and got where both are known.
        where: The file, camera, frame or setting concerned.
        remedy: What to do next, as an instruction.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        head = f"{where}: {what}." if where else f"{what}."
        super().__init__(f"{head} {remedy}".strip())


class FileError(LabError):
    """A file that is missing, damaged, truncated, or not what it claims to be."""


class RefusedError(LabError):
    """A gate refused a calibration or a trial; the message holds every reason."""

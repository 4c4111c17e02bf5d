"""The keypoints of several people in one camera's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray, frozen_array, rising_times, unique_names
from lab.points import Keypoints2D


@dataclass(frozen=True, slots=True, eq=False)
class People2D:
    """Named points of up to P people in the images of one camera.

    The order of the people says nothing: person 0 of one frame may be person 1 of the next.

    Attributes:
        camera: The camera's name.
        names: K names.
        t: (T,) s, mid-exposure on the lab clock.
        xy_px: (T, P, K, 2) px; NaN where not seen, and throughout where there are fewer people.
        cov_px: (T, P, K, 2, 2) px^2; NaN where not known.
        score: (T, P, K) the detector's raw score; NaN where it gives none.
    """

    camera: str
    names: tuple[str, ...]
    t: FloatArray
    xy_px: FloatArray
    cov_px: FloatArray
    score: FloatArray

    def __post_init__(self) -> None:
        names = unique_names(self.names, "People2D.names")
        t = rising_times(self.t, "People2D.t")
        people = np.shape(self.score)[1] if np.ndim(self.score) > 1 else 0
        shape = (len(t), people, len(names))
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "t", t)
        for name, end in (("xy_px", (2,)), ("cov_px", (2, 2)), ("score", ())):
            array = frozen_array(getattr(self, name), (*shape, *end), f"People2D.{name}")
            object.__setattr__(self, name, array)

    @property
    def most(self) -> int:
        """The most people seen in one frame."""
        seen = np.isfinite(self.xy_px[..., 0]).any(-1)
        return int(seen.sum(1).max(initial=0))

    @classmethod
    def of_one(cls, keypoints: Keypoints2D) -> People2D:
        """Return one person's keypoints as those of all people."""
        k = keypoints
        return cls(k.camera, k.names, k.t, k.xy_px[:, None], k.cov_px[:, None], k.score[:, None])

    def pick(self, person: Sequence[int] | FloatArray) -> Keypoints2D:
        """Return the keypoints of one person.

        Args:
            person: (T,) which of the P in each frame; -1 where the person is not seen.
        """
        which = np.asarray(person, int)
        if which.shape != self.t.shape:
            raise ValueError(f"People2D.pick: expected {self.t.shape}, got {which.shape}")
        there = which >= 0
        frames = np.flatnonzero(there)
        shape = (len(self.t), len(self.names))
        xy, cov = np.full((*shape, 2), np.nan), np.full((*shape, 2, 2), np.nan)
        score = np.full(shape, np.nan)
        xy[frames] = self.xy_px[frames, which[frames]]
        cov[frames] = self.cov_px[frames, which[frames]]
        score[frames] = self.score[frames, which[frames]]
        return Keypoints2D(self.camera, self.names, self.t, xy, cov, score)

    @classmethod
    def joined(cls, parts: Sequence[People2D]) -> People2D:
        """Return parts that follow one another as one; ValueError without any, or unlike ones."""
        if not parts or any(
            (p.camera, p.names) != (parts[0].camera, parts[0].names) for p in parts
        ):
            raise ValueError("People2D.joined: parts of one camera and detector are needed")
        most = max(p.score.shape[1] for p in parts)

        def together(arrays: list[FloatArray]) -> FloatArray:
            return np.concatenate(
                [
                    np.pad(
                        a,
                        [(0, 0), (0, most - a.shape[1])] + [(0, 0)] * (a.ndim - 2),
                        constant_values=np.nan,
                    )
                    for a in arrays
                ]
            )

        return cls(
            parts[0].camera,
            parts[0].names,
            np.concatenate([p.t for p in parts]),
            together([p.xy_px for p in parts]),
            together([p.cov_px for p in parts]),
            together([p.score for p in parts]),
        )

"""Exact walkers and runners, and their analysis without noise and without smoothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.walk import analyse_walk
from simulation.walker import simulate

RATE_HZ = 100.0
NOISE_M = 1e-3


@pytest.fixture(scope="session")
def runner():
    return simulate("run", speed_m_s=3.0, treadmill=True, duration_s=4.0, seed=3)


@pytest.fixture(scope="session")
def walker():
    return simulate("walk", speed_m_s=1.3, treadmill=False, duration_s=5.0, seed=3)


@pytest.fixture(scope="session", params=["runner", "walker"])
def person(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def record():
    """From a simulated person to its exact points, which state a noise of a millimetre."""

    def make(person, delay=0.0):
        points = person.record(RATE_HZ)
        t = points.t[:-1] + delay
        cov = np.broadcast_to(NOISE_M**2 * np.eye(3), (*points.cov[:-1].shape[:2], 3, 3))
        return replace(points, t=t, xyz=person.points(t), cov=cov)

    return make


@pytest.fixture(scope="session")
def analyse():
    """Analyse exact points: nothing is smoothed, nothing is random."""

    def make(points, activity, belt, **more):
        given = {"errors": None} | more
        return analyse_walk(
            points, lambda xyz: xyz, activity=activity, treadmill_speed=belt, **given
        )

    return make


@pytest.fixture(scope="session")
def analyse_person(record, analyse):
    """Analyse a simulated person's exact points."""

    def make(person, delay=0.0, **more):
        belt = person.belt_speed or None
        return analyse(record(person, delay), person.activity, belt, **more)

    return make

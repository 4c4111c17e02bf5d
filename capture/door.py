"""Who is let in: only keys that this computer was enrolled with; others are refused and logged."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from capture.keys import trusted_keys
from lab.errors import LabError


class Door:
    """ZAP of one context: every CURVE server in it asks here. Made before the sockets are bound.

    The folder of trusted keys is read at every knock, so that enrolling needs no restart.
    """

    def __init__(
        self, context: zmq.Context[Any], keys: Path, report: Callable[[str, str, str], None]
    ) -> None:
        self.refused = 0
        self._keys, self._report = keys, report
        self._told: set[bytes] = set()
        self._lock = threading.Lock()
        self._guard = ThreadAuthenticator(context)
        self._guard.start()
        self._guard.configure_curve_callback(domain="*", credentials_provider=self)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a public key (Z85) may come in; called by the authenticator."""
        try:
            known = key.decode() in trusted_keys(self._keys).values()
        except LabError as error:
            self._report("keys", error.what, error.remedy)
            return False
        if not known:
            self._refuse(key)
        return known

    def _refuse(self, public: bytes) -> None:
        with self._lock:
            self.refused += 1
            first = public not in self._told
            if first and len(self._told) < 1000:
                self._told.add(public)
        if first:
            self._report(
                "keys",
                f"an unknown computer was refused (key {public.decode()[:8]}...)",
                "If it is yours, enrol it with gaitlab node enrol.",
            )

    def close(self) -> None:
        """Stop answering; nobody is let in any more."""
        self._guard.stop()


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

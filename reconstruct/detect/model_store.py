"""Files of networks on this machine, kept by hash, with their cards."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from lab.atomic import write_atomically
from lab.errors import FileError, LabError
from reconstruct.detect.model_card import ModelCard, read_card_file, shipped_cards, write_card

Progress = Callable[[int, int], None]

_PIECE = 1 << 20
_WAIT_S = 30


class ModelStore:
    """The models of a folder: NAME.toml is a card, HASH.onnx a network's file.

    Args:
        folder: Made when the first model is put there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def cards(self) -> dict[str, ModelCard]:
        """Return every card known, by name: those shipped, and those of the folder over them."""
        known = shipped_cards()
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("*.toml")):
                card = read_card_file(path)
                known[card.name] = card
        return known

    def card(self, name: str) -> ModelCard:
        """Return a card; LabError when there is none of that name."""
        known = self.cards()
        if name not in known:
            raise LabError(
                f"there is no model called {name!r}",
                where="models",
                remedy=f"Choose one of: {', '.join(sorted(known))}; or add your own with "
                "gaitlab models add CARD.toml FILE.onnx.",
            )
        return known[name]

    def has(self, card: ModelCard) -> bool:
        """Return whether the network's file is here; it is not read."""
        return bool(card.sha256) and self._file(card.sha256).is_file()

    def file(self, name: str) -> tuple[ModelCard, Path]:
        """Return the card and the verified file of a model.

        Raises:
            LabError: When the model is unknown, or its file is not here; the message says which
                command gets it.
            FileError: When the file is not what was stored; the message says how to mend it.
        """
        card = self.card(name)
        if not self.has(card):
            raise LabError(
                f"the model {name} is not on this machine",
                where=str(self.folder),
                remedy=f"Get it with: gaitlab models get {name}"
                if card.address
                else f"Add it with: gaitlab models add {name}.toml FILE.onnx",
            )
        path = self._file(card.sha256)
        found = hash_of(path)
        if found != card.sha256:
            again = (
                f"gaitlab models get {name}"
                if card.address
                else f"gaitlab models add {name}.toml FILE.onnx"
            )
            raise FileError(
                f"the file of the model {name} is damaged (sha256 {found[:12]}..., expected "
                f"{card.sha256[:12]}...)",
                where=str(path),
                remedy=f"Get it again with: {again}",
            )
        return card, path

    def add(self, card: ModelCard, network: bytes, where: str) -> ModelCard:
        """Keep a network's file and its card.

        Args:
            card: Without a hash, the file's is recorded.
            network: The bytes of the .onnx.
            where: What to call the file in a message.

        Returns:
            The card with its hash.

        Raises:
            FileError: When the hash is another than the card's; nothing is kept then.
        """
        found = hashlib.sha256(network).hexdigest()
        if card.sha256 and found != card.sha256:
            raise FileError(
                f"the file is not the one of the card {card.name} (sha256 {found[:12]}..., "
                f"expected {card.sha256[:12]}...)",
                where=where,
                remedy="Fetch it again. If the makers replaced the file and you trust it, clear "
                "sha256 in a card of your own and use gaitlab models add.",
            )
        card = msgspec.structs.replace(card, sha256=found)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file(found), network)
        write_atomically(self.folder / f"{card.name}.toml", write_card(card))
        return card

    def fetch(
        self, name: str, check: Callable[[ModelCard, bytes], None], progress: Progress
    ) -> ModelCard:
        """Fetch a model from its address and keep it.

        Args:
            name: Of a card with an address.
            check: Called with card and network before it is kept; raises LabError when it is none.
            progress: Called with bytes done and bytes in all (0 where not known).

        Raises:
            LabError: When the model is unknown or has no address.
            FileError: When it cannot be fetched, or is not what the card says.
        """
        card = self.card(name)
        if not card.address:
            raise LabError(
                f"the card {name} has no address to fetch from",
                where="models",
                remedy=f"Add the file by hand: gaitlab models add {name}.toml FILE.onnx",
            )
        network = network_in(_download(card.address, progress), card.address)
        check(card, network)
        return self.add(card, network, card.address)

    def _file(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.onnx"


def hash_of(path: Path) -> str:
    """Return the sha256 of a file, read in pieces; FileError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise FileError(
            f"cannot be read ({fault.strerror})", where=str(path), remedy="Check the path."
        ) from fault


def network_in(content: bytes, where: str) -> bytes:
    """Return the one .onnx of a .zip, or the content as it is.

    Raises:
        FileError: When the .zip is damaged or holds none or several.
    """
    if not content.startswith(b"PK"):
        return content
    again = "Fetch it again, or take the .onnx out and give that."
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = [n for n in packed.namelist() if n.lower().endswith(".onnx")]
            if len(names) != 1:
                raise FileError(
                    f"the .zip holds {len(names)} files .onnx, expected one",
                    where=where,
                    remedy=again,
                )
            return packed.read(names[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as fault:
        raise FileError(f"the .zip is damaged ({fault})", where=where, remedy=again) from fault


def _download(address: str, progress: Progress) -> bytes:
    remedy = (
        "Check the network. On a machine without one: fetch the file elsewhere, and use "
        "gaitlab models add CARD.toml FILE (docs/detectors.md)."
    )
    try:
        with urllib.request.urlopen(address, timeout=_WAIT_S) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            pieces, done = [], 0
            while piece := answer.read(_PIECE):
                pieces.append(piece)
                done += len(piece)
                progress(done, total)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as fault:
        raise FileError(f"cannot be fetched ({fault})", where=address, remedy=remedy) from fault
    if done < total:
        raise FileError(
            f"the transfer broke off at {done} of {total} bytes", where=address, remedy=remedy
        )
    return b"".join(pieces)

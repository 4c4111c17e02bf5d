"""What the lab may ask of a node and what a node answers; docs/wire.md lists it byte by byte.

Requests and replies are msgspec records in MessagePack, told apart by their tag. Integers of time
are ns on the node's own monotonic clock unless a name says otherwise. Names are checked on
decoding, so that nothing else ever reaches a file system.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from capture.wire import MAX_PIECE_BYTES, NAME_PATTERN

Name = Annotated[str, Meta(pattern=NAME_PATTERN, max_length=48)]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", max_length=64)]
Text = Annotated[str, Meta(max_length=2000)]
Count = Annotated[int, Meta(ge=0)]
FILE_PATTERN = r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,47}\.(mkv|times)\Z"
FileName = Annotated[str, Meta(pattern=FILE_PATTERN)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=str.lower):
    pass


# ---- requests -------------------------------------------------------------------------------


class Describe(_Message, frozen=True, tag="describe"):
    """Hello: who are you, which cameras, which ports."""


class ExchangeClock(_Message, frozen=True, tag="exchange_clock"):
    """One exchange of four timestamps; t1 is the lab's, and comes back as it is."""

    t1_ns: int


class Configure(_Message, frozen=True, tag="configure"):
    """Change one camera; what is None stays as it is. Refused while a trial is armed."""

    camera: Name
    exposure_us: Annotated[float, Meta(gt=0, le=1e7)] | None = None
    gain_db: Annotated[float, Meta(ge=-100, le=100)] | None = None
    rate_hz: Annotated[float, Meta(gt=0, le=1e5)] | None = None


class Arm(_Message, frozen=True, tag="arm"):
    """Make ready to record: files opened, disk space and rate checked.

    Attributes:
        trial: Names the folder; refused when there is one of that name with files in it.
        duration_s: The node ends the trial by itself this long after its start, whatever becomes
            of the lab.
        cameras: Which; empty for all.
        encoding: mjpeg, raw, ffv1 or h264.
        quality: Of mjpeg, 1 to 100.
    """

    trial: Name
    duration_s: Annotated[float, Meta(gt=0, le=86400)]
    cameras: Annotated[list[Name], Meta(max_length=64)] = []
    encoding: Annotated[str, Meta(pattern=r"\A(mjpeg|raw|ffv1|h264)\Z")] = "mjpeg"
    quality: Annotated[int, Meta(ge=1, le=100)] = 90


class Start(_Message, frozen=True, tag="start"):
    """Record frames whose exposure begins at or after a time.

    Attributes:
        trial: The armed one.
        at_host_ns: That time on this node's clock, which the lab works out from its fit.
        at_lab_ns: The same time on the lab's clock, kept with the recording.
    """

    trial: Name
    at_host_ns: int
    at_lab_ns: int = 0


class Stop(_Message, frozen=True, tag="stop"):
    """End the trial (at_host_ns 0: now); answered once every file is closed.

    Asked again, the answer is the same.
    """

    trial: Name
    at_host_ns: int = 0


class Health(_Message, frozen=True, tag="health"):
    """How are you."""


class ListFiles(_Message, frozen=True, tag="list_files"):
    """The files of one trial, or of all (None)."""

    trial: Name | None = None


class ReadPiece(_Message, frozen=True, tag="read_piece"):
    """A part of a file; the reply carries it as payload, shorter only at the file's end."""

    trial: Name
    file: FileName
    offset: Count
    length: Annotated[int, Meta(ge=1, le=MAX_PIECE_BYTES)]


class Confirmed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that the lab has whole."""

    file: FileName
    sha256: Sha256


class Delete(_Message, frozen=True, tag="delete"):
    """Delete the trial's files whose content the lab states; refused when any differs."""

    trial: Name
    files: Annotated[list[Confirmed], Meta(max_length=256)]


Request = (
    Describe
    | ExchangeClock
    | Configure
    | Arm
    | Start
    | Stop
    | Health
    | ListFiles
    | ReadPiece
    | Delete
)


# ---- replies --------------------------------------------------------------------------------


class CameraDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One camera as it really stands, not as it was asked to."""

    camera: str
    driver: str
    serial: str
    model: str
    size_px: tuple[int, int]
    channels: int
    rate_hz: float
    exposure_us: float
    gain_db: float
    trigger: str
    region_px: tuple[int, int, int, int]
    stamps: str
    delivers: str
    differences: list[str] = []


class Description(_Message, frozen=True, tag="description"):
    """Answer to Describe. Ports are those of this node's sockets."""

    node: str
    version: str
    wire: int
    process: int
    host_ns: int
    frames_port: int
    previews_port: int
    public_key: str
    cameras: list[CameraDescription]


class ClockStamps(_Message, frozen=True, tag="clock_stamps"):
    """The node's two stamps (received, about to send) beside the lab's first."""

    t1_ns: int
    t2_ns: int
    t3_ns: int


class Done(_Message, frozen=True, tag="done"):
    """The request was carried out; `notes` say what an operator should know."""

    notes: list[str] = []


class Refused(_Message, frozen=True, tag="refused"):
    """The request was not carried out, in the form of a LabError."""

    what: str
    where: str = ""
    remedy: str = ""


class CameraHealth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts since the node started, and of the trial (recorded, lost, waiting)."""

    camera: str
    state: str  # running, restarting, failed
    grabbed: int
    lost: int  # counters that the camera skipped, since the node started
    restarts: int
    rate_hz: float  # as measured over the last seconds
    recorded: int
    recorded_lost: int
    waiting: int  # frames between the camera and the disk
    fault: str = ""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that an operator must know."""

    host_ns: int
    where: str
    what: str
    remedy: str = ""


class NodeHealth(_Message, frozen=True, tag="node_health"):
    """Answer to Health: `state` is idle, armed, recording or closing."""

    node: str
    state: str
    trial: str
    host_ns: int
    disk_free_bytes: int
    cpu_percent: float
    memory_bytes: int
    cameras: list[CameraHealth]
    faults: list[Fault]
    dropped: dict[str, int]


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a trial; size and checksum of what is on disk, closed."""

    trial: str
    file: str
    size: int
    sha256: str


class Files(_Message, frozen=True, tag="files"):
    """Answer to ListFiles; a trial that is being recorded is not listed."""

    files: list[FileEntry]


class Piece(_Message, frozen=True, tag="piece"):
    """Answer to ReadPiece; the payload is the piece, `sha256` its checksum."""

    offset: int
    sha256: str
    file_size: int


class Stopped(_Message, frozen=True, tag="stopped"):
    """Answer to Stop: what the recording holds, camera by camera."""

    trial: str
    cameras: list[CameraHealth]
    faults: list[Fault]


Reply = Description | ClockStamps | Done | Refused | NodeHealth | Files | Piece | Stopped

request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)

"""A network in ONNX Runtime: batches in, arrays out, on what the machine offers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lab.errors import FileError, LabError

# In the order of preference; what the installed runtime lacks is passed over.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_faults: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
_LOAD_FAULTS = (
    _faults.Fail,
    _faults.InvalidProtobuf,
    _faults.InvalidGraph,
    _faults.InvalidArgument,
    _faults.NoModel,
    _faults.NotImplemented,
    _faults.NoSuchFile,
    _faults.RuntimeException,
)


def offered() -> list[str]:
    """Return the names in `PROVIDERS` that the installed runtime has, the preferred first."""
    there = onnxruntime.get_available_providers()
    return [name for name, provider in PROVIDERS.items() if provider in there]


class Network:
    """One network, ready to run.

    Args:
        content: The .onnx file's bytes.
        where: What to call it in a message.
        device: A name of `PROVIDERS`, or "auto" for the best that the runtime has.
        threads: Threads of the processor that one run may use; 0 for all.

    Raises:
        FileError: When it is damaged or no network.
        LabError: When the device is not there.
    """

    def __init__(
        self, content: bytes, where: str, *, device: str = "auto", threads: int = 0
    ) -> None:
        names = offered()
        if device != "auto" and device not in names:
            raise LabError(
                f'device is "{device}"; this machine\'s runtime has: {", ".join(names)}',
                where="[detect]",
                remedy='Write device = "auto", or install the onnxruntime that has it.',
            )
        chosen = names if device == "auto" else [device, "cpu"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=[PROVIDERS[n] for n in dict.fromkeys(chosen)]
            )
        except _LOAD_FAULTS as fault:
            raise FileError(
                "not a network that can be read: it is damaged, cut off, or of a newer form "
                f"({str(fault).splitlines()[0][:160]})",
                where=where,
                remedy="Get it again with gaitlab models get NAME, or give the .onnx itself.",
            ) from fault
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise LabError(
                f"the network takes {[i.shape for i in inputs]}, expected one batch of images",
                where=where,
                remedy="Export it with one input of (batch, 3, height, width).",
            )
        self.where = where
        self._input = inputs[0]
        self.outputs = tuple(o.name for o in self._session.get_outputs())
        self.device = self._session.get_providers()[0]

    def check_size(self, size_px: tuple[int, int]) -> None:
        """Raise LabError unless the network takes images of (width, height)."""
        stated = self._input.shape[1:]
        wanted = [3, size_px[1], size_px[0]]
        if any(isinstance(s, int) and s != w for s, w in zip(stated, wanted, strict=True)):
            raise LabError(
                f"the card says input_px {list(size_px)}, the network takes (channels, height, "
                f"width) {stated}",
                where=self.where,
                remedy="Correct input_px (width, height) in the card.",
            )

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[Any]]:
        """Return the outputs for a batch (N, 3, H, W); as many runs as its own batch size asks.

        Raises:
            LabError: When the network cannot be run on it.
        """
        fixed = self._input.shape[0]
        step = fixed if isinstance(fixed, int) else len(batch)
        parts = [self._one(batch[i : i + step], step) for i in range(0, len(batch), step)]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _one(self, batch: NDArray[np.float32], step: int) -> Sequence[NDArray[Any]]:
        count = len(batch)
        if count < step:
            batch = np.concatenate([batch, np.zeros((step - count, *batch.shape[1:]), np.float32)])
        try:
            outputs: Any = self._session.run(None, {self._input.name: batch})
        except _LOAD_FAULTS as fault:
            raise LabError(
                f"the network failed on images {batch.shape} ({str(fault).splitlines()[0][:160]})",
                where=self.where,
                remedy="Check input_px in the card, and that the model fits its card.",
            ) from fault
        return [o[:count] for o in outputs]

"""Small networks with the true forms of inputs and outputs, and pictures that they understand."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def colours(count: int) -> np.ndarray:
    """(count, 3) blue green red, of one length and well apart: a joint is known by its colour."""
    rng = np.random.default_rng(5)
    found = [np.array([1.0, 0.05, 0.05])]
    pool = np.abs(rng.normal(size=(4000, 3))) + 0.02
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    found[0] /= np.linalg.norm(found[0])
    while len(found) < count:
        closest = (pool @ np.array(found).T).max(1)
        found.append(pool[closest.argmin()])
    return np.array(found) * 250


def draw_people(size_px, people, blob_px=7.0):
    """(H, W, 3) uint8: a soft blob of each joint's colour at (K, 2) px of each person."""
    width, height = size_px
    image, weight = np.zeros((height, width, 3)), np.zeros((height, width))
    reach = int(np.ceil(3 * blob_px))
    for joints in people:
        for (x, y), colour in zip(joints, colours(len(joints)), strict=True):
            if not np.isfinite(x):
                continue
            x0, x1 = max(int(x) - reach, 0), min(int(x) + reach + 2, width)
            y0, y1 = max(int(y) - reach, 0), min(int(y) + reach + 2, height)
            if x0 >= x1 or y0 >= y1:
                continue
            gx = np.exp(-((np.arange(x0, x1) - x) ** 2) / 2 / blob_px**2)
            gy = np.exp(-((np.arange(y0, y1) - y) ** 2) / 2 / blob_px**2)
            blob = gy[:, None] * gx
            # Where blobs overlap the nearer middle shows: a mixture would outshine both.
            nearer = blob > weight[y0:y1, x0:x1]
            image[y0:y1, x0:x1][nearer] = blob[nearer][:, None] * colour
            weight[y0:y1, x0:x1][nearer] = blob[nearer]
    return np.round(image).astype(np.uint8)


def _tensor(name, array):
    return numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)


def _model(nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="tests"
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def pose_network(joints, size_px, *, mean=(0, 0, 0), std=(1, 1, 1), rgb=True, batch="n"):
    """A SimCC network: how much of a joint's colour there is, at its most along each axis.

    Two bins a pixel, as the published ones have; the height of a distribution is 1 at a blob's
    middle. Normalisation is undone first, as the networks learn to.
    """
    width, height = size_px
    directions = colours(joints) / 250
    if rgb:
        directions = directions[:, ::-1]
    std, mean = np.array(std, float), np.array(mean, float)
    weight = (directions * std / 250)[..., None, None]
    bias = directions @ mean / 250
    constants = [
        _tensor("w", weight),
        _tensor("b", bias),
        _tensor("twice", [1, 1, 2]),
        _tensor("roi", []),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["map"]),
        helper.make_node("ReduceMax", ["map"], ["along_x"], axes=[2], keepdims=0),
        helper.make_node("ReduceMax", ["map"], ["along_y"], axes=[3], keepdims=0),
    ]
    nodes += [
        helper.make_node(
            "Resize",
            [f"along_{axis}", "roi", "twice"],
            [f"simcc_{axis}"],
            mode="linear",
            coordinate_transformation_mode="asymmetric",
        )
        for axis in "xy"
    ]
    outputs = [
        _value("simcc_x", [batch, joints, 2 * width]),
        _value("simcc_y", [batch, joints, 2 * height]),
    ]
    return _model(nodes, [_value("image", [batch, 3, height, width])], outputs, constants)


def person_network(size_px, box_px, gain=1.0, tapered=False):
    """A YOLOX without selection: a person is where a box of this size is fullest of light.

    Only cells of stride 8 speak; each says a box of `box_px` about its middle.
    """
    width, height = size_px
    kernel = [int(b) // 8 * 2 + 1 for b in box_px]
    window = np.ones((kernel[1] // 2 | 1, kernel[0] // 2 | 1))
    if tapered:
        # Highest in its middle, so that one place alone is the best.
        window = np.outer(*(np.hanning(n + 2)[1:-1] for n in window.shape))
    rows = sum((width // s) * (height // s) for s in (8, 16, 32))
    first = (width // 8) * (height // 8)
    constants = [
        _tensor("grey", np.full((1, 3, 8, 8), gain / 3 / 64 / 255)),
        _tensor("window", window[None, None]),
        numpy_helper.from_array(np.array([0, first, 1], np.int64), "flat"),
        _tensor("middle", np.full((1, first, 2), 0.5)),
        _tensor("sizes", np.tile(np.log(np.array(box_px) / 8), (1, first, 1))),
        _tensor("sure", np.ones((1, first, 1))),
        _tensor("silent", np.zeros((1, rows - first, 6))),
        _tensor("low", 0.0),
        _tensor("high", 1.0),
    ]
    pad = [(kernel[1] // 2 | 1) // 2, (kernel[0] // 2 | 1) // 2]
    nodes = [
        helper.make_node("Conv", ["image", "grey"], ["cells"], strides=[8, 8]),
        helper.make_node("Conv", ["cells", "window"], ["full"], pads=[*pad, *pad]),
        # Only where it is fullest among its neighbours.
        helper.make_node("MaxPool", ["full"], ["most"], kernel_shape=[15, 11], pads=[7, 5, 7, 5]),
        helper.make_node("Equal", ["full", "most"], ["is_most"]),
        helper.make_node("Cast", ["is_most"], ["peak"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["full", "peak"], ["strong"]),
        helper.make_node("Clip", ["strong", "low", "high"], ["objectness"]),
        helper.make_node("Reshape", ["objectness", "flat"], ["score"]),
        helper.make_node("Concat", ["middle", "sizes", "score", "sure"], ["speaking"], axis=2),
        helper.make_node("Concat", ["speaking", "silent"], ["output"], axis=1),
    ]
    return _model(
        nodes, [_value("image", [1, 3, height, width])], [_value("output", [1, rows, 6])], constants
    )

"""What the link does on a good line and on a bad one: ``python -m
lutcore.fpga.host.link_rates``.
"""

import argparse
import time

import numpy as np

from lutcore.compiler.lowering.gemm import gemm
from lutcore.errors import ToolError
from lutcore.files import example
from lutcore.fpga.host.driver import BAUD, Device
from lutcore.fpga.host.virtual import DIVISOR, LineFaults, VirtualBoard
from lutcore.gen.run.tile import load_activations, load_tensor
from lutcore.verif.golden.integers import mpgemm
from lutcore.verif.samples.cores import SMALL_CORES

CORE = SMALL_CORES["w4a8"]
_TENSOR = "blk.0.ffn_up.weight"
#: Least part of the line to the board that must be data of a long write.
LEAST = 0.8
#: Milliseconds that a USB bridge adds each way.
_BRIDGES = (1, 4, 16)
#: Bytes of memory of the board with the bad line, and of a transfer.
_MEMORY, _PIECE = 1 << 16, 4096


def upload_share(board: VirtualBoard, device: Device, data: bytes) -> dict[str, float]:
    """Write data to memory; what parts of the time, as the board's clock counts it, that takes.

    The time is from the call until the last answer has left the board. The simulation does not wait
    for the host: what the host loses is time in which the line is idle.
    """
    before = board.times()
    device.write(0, data)
    after = board.times()
    elapsed = after.last - before.now
    return {
        "data": len(data) * 10 * DIVISOR / elapsed,
        "idle": 1 - (after.to_board - before.to_board) / elapsed,
    }


def weight_upload() -> dict[str, float]:
    """Shares of the line for the example's tensor, and with a bridge's latency for 64 KiB of it.

    Raises
    ------
    ToolError
        The product is not the golden model's, or less than ``LEAST`` of the line is data.
    """
    tensor = load_tensor(example("minilm.gguf"), _TENSOR)
    activations = load_activations(example("minilm-activations.npz"), tensor, CORE, 1)
    image = gemm(CORE, tensor, activations).image()
    data = image[: image.size // 4 * 4].tobytes()
    figures = {}
    with (
        VirtualBoard(CORE) as board,
        Device.open(board.port, CORE, timeout=60, retry=2) as device,
    ):
        share = upload_share(board, device, data)
        began, before = time.perf_counter(), board.times().now
        found = device.matmul(tensor, activations)
        seconds, cycles = time.perf_counter() - began, board.times().last - before
        if not np.allclose(found, mpgemm(activations, tensor), rtol=1e-4, atol=1e-4):
            raise ToolError(f"{_TENSOR}: the board's product is not the golden model's")
        if share["data"] < LEAST:
            raise ToolError(f"{share['data']:.3f} of the line is data, not {LEAST}: {share}")
        figures |= {f"{len(data)} bytes, part of the line: {name}": x for name, x in share.items()}
        figures["product, milliseconds of the board"] = cycles / (DIVISOR * BAUD) * 1000
        figures["product, seconds of the simulation"] = seconds
        figures["product, frames sent again"] = device.repeated
    for milliseconds in _BRIDGES:
        latency = milliseconds * DIVISOR * BAUD // 1000
        # A simulated millisecond takes much longer: seconds until requests are repeated do too.
        with (
            VirtualBoard(CORE, latency=latency) as board,
            Device.open(board.port, CORE, timeout=60, retry=10) as device,
        ):
            share = upload_share(board, device, data[: 1 << 16])
            title = f"65536 bytes, {milliseconds} ms later each way"
            figures |= {f"{title}, part of the line: {name}": x for name, x in share.items()}
            figures[f"{title}, frames sent again"] = device.repeated
    return figures


def faulty_line(frames: int = 10_000, faults: float = 0.01, seed: int = 1) -> dict[str, float]:
    """Write random data and read it back until so many frames have arrived.

    Bytes are lost, doubled or changed both ways, a third of ``faults`` each; all else of the device
    but its timeout is as by default.

    Raises
    ------
    ToolError
        Something wrong was accepted, or does not arrive.
    """
    rng = np.random.default_rng(seed)
    line = LineFaults(faults / 3, faults / 3, faults / 3, seed)
    with (
        VirtualBoard(CORE, line, _MEMORY) as board,
        Device.open(board.port, CORE, timeout=60) as device,
    ):
        wanted = np.zeros(_MEMORY, np.uint8)
        began, moved = time.perf_counter(), 0
        while device.sent - device.repeated < frames:
            address = int(rng.integers(0, device.memory // _PIECE)) * _PIECE
            place = slice(address, address + _PIECE)
            wanted[place] = rng.integers(0, 256, _PIECE)
            device.write(address, wanted[place].tobytes())
            if device.read(address, _PIECE) != wanted[place].tobytes():
                raise ToolError(f"wrong data were accepted at {address:#x}")
            moved += 2 * _PIECE
        seconds = time.perf_counter() - began
        sent, repeated = device.sent, device.repeated
        if not np.array_equal(np.frombuffer(device.read(0, _MEMORY), np.uint8), wanted):
            raise ToolError("memory differs from what was written")
    return {
        "frames that arrived": sent - repeated,
        "frames sent again": repeated,
        "bytes of data moved": moved,
        "seconds": seconds,
    }


def main() -> None:
    """Print the figures."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for title, measure in (("", weight_upload), ("a byte in a hundred damaged, ", faulty_line)):
        for name, value in measure().items():
            print(f"{title}{name}: {value:,.4g}", flush=True)


if __name__ == "__main__":
    main()

"""What the link does on a good line and on a bad one: ``python -m fpga.link_rates``."""

import time

import numpy as np

from fpga.driver import Device
from fpga.virtual import LineFaults, VirtualBoard
from hdl.errors import ToolError
from verif.small_cores import SMALL_CORES

CORE = SMALL_CORES["w4a8"]
#: Bytes of memory of the board with the bad line, and of a transfer.
_MEMORY, _PIECE = 1 << 16, 4096


def faulty_line(frames: int = 10_000, faults: float = 0.01, seed: int = 1) -> dict[str, float]:
    """Write random data and read it back until so many frames have arrived.

    Bytes are lost, doubled or changed both ways, a third of ``faults`` each; all else of the device
    is as by default.

    Raises
    ------
    ToolError
        Something wrong was accepted, or does not arrive.
    """
    rng = np.random.default_rng(seed)
    line = LineFaults(faults / 3, faults / 3, faults / 3, seed)
    with VirtualBoard(CORE, line, _MEMORY) as board, Device.open(board.port, CORE) as device:
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
    for name, value in faulty_line().items():
        print(f"a byte in a hundred damaged, {name}: {value:,.4g}")


if __name__ == "__main__":
    main()

"""The library in a few lines: read, pack, multiply, simulate, compare."""

import numpy as np

import lutcore
from lutcore.files import example

config = lutcore.preset("w2a8").replace(n=8)
tensor = lutcore.open_checkpoint(example("minilm.gguf")).tensor("blk.0.ffn_down.weight")
activations = np.load(example("minilm-activations.npz"))[tensor.name][:1]

print(
    "packed planes:", lutcore.pack(config, tensor).slices.shape, "[n tiles, steps, planes, bytes]"
)
print("golden result:", lutcore.matmul(activations, tensor, config).values[0, :4])
report = lutcore.simulate(config, tensor, activations)
print(f"RTL: {report.cycles} cycles, {report.mismatches} mismatches")

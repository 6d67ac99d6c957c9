"""The library in a few lines: read, pack, simulate, compare."""

import numpy as np

from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.weights.pack import pack
from lutcore.files import example
from lutcore.gen.run.tile import simulate
from lutcore.hdl.config.presets import preset
from lutcore.verif.golden.integers import mpgemm

config = preset("w2a8").replace(n=32)
tensor = GgufFile(example("minilm.gguf")).tensor("blk.0.ffn_down.weight")
activations = np.load(example("minilm-activations.npz"))[tensor.name][:1]

print("packed planes:", pack(config, tensor).slices.shape, "[n tiles, steps, planes, bytes]")
print("float result:", mpgemm(activations, tensor)[0, :4])
report = simulate(config, tensor, activations)
print(f"RTL: {report.cycles} cycles, {report.mismatches} mismatches")

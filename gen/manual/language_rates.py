"""How fast the example's language model writes: ``python -m lutcore.gen.manual.language_rates``."""

import time

import numpy as np

from lutcore.errors import ToolError
from lutcore.files import example
from lutcore.gen.run.language import Sampler, Writer, load_network, opened
from lutcore.hdl.config.presets import load_config

MODEL = example("kjv-ternary.gguf")
#: The core, and what differs from its preset: a run is a whole row of d = 256.
CORE = ("default", ("group_size=256",))
#: Backend -> bytes to write.
_TOKENS = {"golden": 100, "isa": 40, "rtl": 5}
_PROMPT = b"In the beginning"


def language_rates(tokens: dict[str, int] = _TOKENS) -> dict[str, float]:
    """Bytes a second of each backend after the first one, the likeliest bytes taken.

    On a busy machine the processor's time says more: of this process, so not of simulated RTL.

    Raises
    ------
    ToolError
        Two backends write different texts.
    """
    container = load_network(MODEL, load_config(CORE[0], CORE[1]))
    figures, longest = {}, b""
    for on, most in tokens.items():
        with opened(container, on) as network:
            writer = Writer(network, Sampler())
            writer.read(_PROMPT)
            times, used, text = [], [], b""
            for token in writer.write(most):
                times.append(time.perf_counter())
                used.append(time.process_time())
                text += bytes([token])
        if not (longest.startswith(text) or text.startswith(longest)):
            raise ToolError(f"the language model on {on} writes {text!r}, not {longest!r}")
        longest = max(longest, text, key=len)
        figures[f"language model on {on} (tokens/s)"] = 1 / float(np.diff(times).mean())
        if on != "rtl":
            spent = 1000 * float(np.diff(used).mean())
            figures[f"language model on {on}, processor's time a token (ms)"] = spent
    return figures


if __name__ == "__main__":
    for name, value in language_rates().items():
        print(f"{name}: {value:.3g}")

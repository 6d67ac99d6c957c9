"""Train the byte-level ternary language model on a text, on a CPU (docs, page language-model).

    pip install 'lut-tensor-core[train]'
    python examples/train_language_model.py --text FILE -o my-model.gguf

Every 20th stretch of 64 lines is held out: the loss on it is measured, never trained. Training
stops and resumes at will: the checkpoint beside the output holds the state, and the steps that
remain follow the same schedule. The GGUF is written again at every checkpoint.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ternary_network import TernaryModel, ternarise
from torch.nn import functional

from lutcore.compiler.importers.ternary_model import ModelShape, Ternary, write_model

_STRETCH, _EVERY = 64, 20
_WARM_UP, _FALL = 100, 0.4


def split(text: bytes) -> tuple[bytes, bytes]:
    """The text to train on and the text held out: every 20th stretch of 64 lines."""
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    for index, line in enumerate(text.splitlines(keepends=True)):
        parts[index // _STRETCH % _EVERY == _EVERY - 1].append(line)
    return b"".join(parts[0]), b"".join(parts[1])


def batch(text: torch.Tensor, step: int, seed: int, size: int, length: int) -> torch.Tensor:
    """``[size, length + 1]`` bytes from random places, the same for the same step and seed."""
    random = np.random.default_rng([seed, step])
    starts = random.integers(0, len(text) - length, size)
    return torch.stack([text[start : start + length + 1] for start in starts.tolist()]).long()


def loss_of(model: Callable[[torch.Tensor], torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy (nats a byte) of every byte of [batch, length + 1] after its first."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(model: TernaryModel, text: torch.Tensor, windows: int) -> float:
    """Loss over ``windows`` windows evenly spread over the held-out text."""
    length = model.shape.context
    starts = np.linspace(0, len(text) - length - 1, windows).astype(int)
    tokens = torch.stack([text[start : start + length + 1] for start in starts]).long()
    forward = model.forward  # not the compiled one, which would be compiled anew for this size
    return float(np.mean([float(loss_of(forward, part)) for part in tokens.split(16)]))


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: a warm-up, a plateau, then a linear fall to 0.

    As the plateau does not depend on the number of steps, a run may be resumed with another one.
    """
    return min((step + 1) / _WARM_UP, 1.0, (steps - step) / (_FALL * steps))


def tensors(model: TernaryModel) -> tuple[dict[str, Ternary], dict[str, np.ndarray]]:
    """The matrices as ternary codes with their scale, and all other tensors as float32."""
    matrices, floats = {}, {}
    for name, parameter in model.named_parameters():
        if name in model.shape.matrices():
            codes, scale = ternarise(parameter.detach())
            matrices[name] = Ternary(codes.numpy().astype(np.int8), np.float16(scale.item()))
        else:
            floats[name] = parameter.detach().numpy()
    return matrices, floats


def optimiser(model: TernaryModel, peak: float, decay: float) -> torch.optim.AdamW:
    """AdamW; only the matrices decay."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim == 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.99), fused=True)


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write(temporary)`` and rename: a stop in between leaves the old file whole."""
    temporary = path.with_name(path.name + ".partial")
    write(temporary)
    os.replace(temporary, path)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, required=True, help="any text; bytes are the tokens")
    parser.add_argument("-o", "--output", type=Path, required=True, help="GGUF file to write")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=4, help="windows of 256 bytes a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay of the matrices")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5, help="between two checkpoints")
    parser.add_argument("--name", default="byte-level ternary language model")
    parser.add_argument("--license", default="", help="of the text, written into the file")
    return parser.parse_args()


def main() -> None:
    """Train, log a JSON line every 50 steps, keep a checkpoint and the GGUF up to date."""
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    train, held_out = (
        torch.frombuffer(bytearray(part), dtype=torch.uint8)
        for part in split(options.text.read_bytes())
    )
    model = TernaryModel(ModelShape())
    model.compile()
    adam = optimiser(model, options.rate, options.decay)
    state_path, log_path = (options.output.with_suffix(end) for end in (".state.pt", ".log.jsonl"))
    about = {"name": options.name, "license": options.license}
    first, seconds = 0, 0.0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        adam.load_state_dict(state["adam"])
        first, seconds = state["step"], state["seconds"]

    def save(step: int) -> None:
        state = {"model": model.state_dict(), "adam": adam.state_dict(), "step": step}
        state["seconds"] = seconds
        replace(state_path, lambda path: torch.save(state, path))
        write_model(options.output, model.shape, *tensors(model), about=about)

    saved, losses = time.monotonic(), []
    for step in range(first, options.steps):
        begun = time.monotonic()
        for group in adam.param_groups:
            group["lr"] = options.rate * rate(step, options.steps)
        tokens = batch(train, step, options.seed, options.batch, model.shape.context)
        loss = loss_of(model, tokens)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        seconds += time.monotonic() - begun
        losses.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            mean, losses = float(np.mean(losses)), []
            facts = {"step": step + 1, "loss": round(mean, 4), "seconds": round(seconds)}
            if (step + 1) % 250 == 0:
                facts["held_out"] = round(held_out_loss(model, held_out, 64), 4)
            with log_path.open("a") as log:
                print(json.dumps(facts), file=log)
            print(facts, flush=True)
        if time.monotonic() - saved > 60 * options.minutes:
            save(step + 1)
            saved = time.monotonic()
    save(options.steps)
    print({"held_out": held_out_loss(model, held_out, 512)})


if __name__ == "__main__":
    main()

"""The process in which llama.cpp runs: a request in JSON comes in, answers in JSON go out.

Run as a script, by a Python that has the wheel ``xllamacpp`` and need not have this package.
"""

import importlib
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

#: Exit status where the wheel is missing.
MISSING = 3
_F32, _BATCH = 0, 2048


def serve(request: dict[str, Any]) -> list[Any]:
    """Answers to the prompts of a request: as llama.cpp's server gives them, or errors of it."""
    judge = importlib.import_module("xllamacpp")
    parameters = judge.CommonParams()
    parameters.model.path = request["path"]
    parameters.n_ctx = request["context"]
    parameters.n_batch = parameters.n_ubatch = _BATCH
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.flash_attn_type = judge.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.cache_type_k = parameters.cache_type_v = judge.ggml_type(_F32)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = request["threads"]
    parameters.warmup = parameters.fit_params = False
    parameters.cache_ram_mib = 0
    parameters.offline = True
    parameters.verbosity = 1  # errors alone
    parameters.embedding = request["embedding"]
    if request["pooling"] is not None:
        parameters.pooling_type = judge.llama_pooling_type(request["pooling"])
    server = judge.Server(parameters)
    if request["embedding"]:
        address = server.listening_address + "/embeddings"
        return [
            _posted(address, {"content": tokens, "embd_normalize": -1})
            for tokens in request["prompts"]
        ]
    wanted = {
        "n_predict": 1,
        "n_probs": request["vocabulary"],
        "temperature": 1.0,
        "post_sampling_probs": False,
        "cache_prompt": False,
    }
    return [server.handle_completions({"prompt": tokens} | wanted) for tokens in request["prompts"]]


def _posted(address: str, body: dict[str, Any]) -> Any:
    """By HTTP to this process: the wheel's own function refuses vectors of single tokens."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, json.dumps(body).encode()) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        return json.load(error)


def main() -> None:
    """Serve the request on standard input; what llama.cpp itself prints is no answer."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    try:
        importlib.import_module("xllamacpp")
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
    with answers:
        json.dump(serve(request), answers)


if __name__ == "__main__":
    main()

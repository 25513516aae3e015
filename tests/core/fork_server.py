"""Starts `frx` many times: torch is imported once, and each start is a fork. Not a test itself.

Takes a line of JSON a request and answers with one. {"start": words, "log": path, "before": code}
starts `frx words` as the head of a process group, once `code` has run there, and gives its process
id. {"wait": pids, "seconds": s, "note": path, "phase": word} waits until one of them ends, and
kills the first after so long, counted from when the word is in the file; gives what `os.waitpid`
tells. {"serve": [path, path]} has another process like this one take its requests from the first
FIFO, and answer in the second.
"""

from __future__ import annotations

import gc
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO


def main() -> None:
    import torch
    import torch._dynamo  # an optimiser imports it, for seconds

    from frx.recipe import load

    load(Path(sys.argv[1]))  # imports its components
    torch.set_num_threads(1)  # a pool of threads would not survive a fork
    gc.collect()
    gc.freeze()  # else each fork's first collection would copy all memory
    serve(sys.stdin, sys.stdout)
    os._exit(0)  # what it imported complains when it ends otherwise


def serve(requests: Iterable[str], answers: TextIO) -> None:
    for line in requests:
        request = json.loads(line)
        if "serve" in request:
            answer = another(*request["serve"])
        elif "start" in request:
            answer = started(**request)
        else:
            answer = ended(**request)
        print(json.dumps(answer), file=answers, flush=True)


def another(requests: str, answers: str) -> Any:
    if pid := os.fork():
        return pid
    with open(requests) as given, open(answers, "w") as taken:
        serve(given, taken)
    os._exit(0)


def ended(wait: list[int], seconds: float, note: str, phase: str) -> Any:
    until = math.inf
    while time.monotonic() < until:
        if until == math.inf and (not phase or phase in Path(note).read_text()):
            until = time.monotonic() + seconds
        for pid in wait:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return pid, status
        time.sleep(0.0005)
    os.kill(wait[0], signal.SIGKILL)
    return os.waitpid(wait[0], 0)


def started(start: list[str], log: str, before: str) -> Any:
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream, source in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
            os.dup2(source, stream)
        code = frx_ended(start, before)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def frx_ended(words: list[str], before: str) -> int:
    from frx.cli import main as frx_main

    exec(before, {})
    sys.argv = ["frx", *words]
    try:
        frx_main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    main()

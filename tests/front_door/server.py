"""Runs scripts in fresh processes without importing MMPose for each.

Imports the stack once and then forks for every request, a line of JSON on
the standard input: ``argv`` of a script, and for each process that shall run
it at the same time its environment. The answer is a line with the exit code of
each, negative for a signal, and the seconds after which it ended.
"""
from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import time
import traceback
from typing import Any, NoReturn


def main(modules: list[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    # long configs take a second to be laid out
    importlib.import_module('mmengine.config.config').FormatCode = (
        lambda text, **_: (text, False))
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what a library prints must not look like an answer
    print('ready', file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        children = [_fork(request, env) for env in request['processes']]
        ends = _wait(children, request['timeout'])
        print(json.dumps(ends), file=answers, flush=True)


def _fork(request: dict[str, Any], env: dict[str, str]) -> int:
    child = os.fork()
    if child == 0:
        _run(request, env)
    return child


def _run(request: dict[str, Any], env: dict[str, str]) -> NoReturn:
    code = 1
    try:
        log = os.open(request['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout.reconfigure(line_buffering=True)  # in step with errors
        os.chdir(request['folder'])
        os.environ.clear()
        os.environ.update(env)
        sys.argv = request['argv']
        # the import of the package does this, in a process of its own
        from mmpose_ext.compat.distributed import join_cpu_process_group
        join_cpu_process_group()
        runpy.run_path(sys.argv[0], run_name='__main__')
        code = 0
    except SystemExit as exit_:
        code = exit_.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(children: list[int], timeout: float) -> list[tuple[int, float]]:
    ends: dict[int, tuple[int, float]] = {}
    start = time.monotonic()
    while len(ends) < len(children):
        seconds = time.monotonic() - start
        for child in children:
            if child in ends:
                continue
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                ends[child] = os.waitstatus_to_exitcode(status), seconds
            elif seconds > timeout:
                os.kill(child, 9)
        time.sleep(.02)
    return [ends[child] for child in children]


if __name__ == '__main__':
    main(sys.argv[1:])

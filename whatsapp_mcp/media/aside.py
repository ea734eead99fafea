"""Readers of strangers' files in a process of their own: one that crashes, hangs or swallows memory takes nothing else along.

PDFium, FFmpeg, whisper.cpp and what Pillow is made of are written in C and C++; a file that was made to break one of them
breaks that process only, and the next file gets a new one. The process is started once and kept, so a model is loaded once.
It has no standard output, which belongs to the protocol of the server that may have started it, and it ends with its starter.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Self, TypeVar, cast

from whatsapp_mcp.errors import MediaError, UnreadableFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import TracebackType

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)

MEMORY: Final = 2_000_000_000
"""Bytes of address space that a reader of documents or pictures may have, where the system knows such limits."""

_GRACE: Final = 2.0
"""Seconds that a reader has longer than its caller waits: it is ended by the caller, and by itself where that one is gone."""


class Aside(Generic[P, T_co]):
    """Calls one function in another process, one call at a time; use it as a context manager."""

    def __init__(self, function: Callable[P, T_co], *, memory: int | None = None) -> None:
        """`function` must be one that can be imported; `memory` limits its process."""
        self._function = function
        self._memory = memory
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def call(self, seconds: float, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """The function's result, or its `MediaError`; `UnreadableFile` also where it crashes or takes longer than `seconds`.

        A call from another thread waits for its turn, also for at most so long.
        """
        seconds = max(0.0, seconds)
        if not self._turn.acquire(timeout=seconds):
            raise UnreadableFile("Other files are still being read.", advice="Ask again in a moment.")
        try:
            is_well, result = self._answer(seconds, args, kwargs)
        finally:
            self._turn.release()
        if is_well:
            return cast("T_co", result)
        kind, what, advice = result
        raise kind(what, advice=advice)

    def end(self) -> None:
        """End the process, also in the middle of another thread's call, which is then refused; a later call begins anew."""
        self.interrupt()
        with self._turn:
            self._end()

    def interrupt(self) -> None:
        """Let the call of another thread end now with `UnreadableFile`, if there is one."""
        process = self._process
        with contextlib.suppress(ValueError):  # it was ended meanwhile
            if process is not None:
                process.kill()

    def _answer(self, seconds: float, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
        line = self._begin()
        try:
            line.send((seconds, args, kwargs))
            if line.poll(seconds):
                return cast("tuple[bool, Any]", line.recv())
        except (OSError, EOFError) as error:
            self._end()
            raise UnreadableFile("The file made its reader crash.") from error
        except BaseException:
            self._end()
            raise
        self._end()
        raise UnreadableFile("Reading the file took too long.")

    def _begin(self) -> Connection:
        if self._process is not None and self._line is not None and self._process.is_alive():
            return self._line
        self._end()
        context = multiprocessing.get_context("spawn")
        line, theirs = context.Pipe()
        with theirs:
            process = context.Process(target=_serve, args=(theirs, self._function, self._memory), daemon=True)
            process.start()
        self._line, self._process = line, process
        return line

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._line = self._process = None


def _serve(line: Connection, function: Callable[..., Any], memory: int | None) -> None:
    """The other process: answers one call after the other, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it ends it
    for stream in (1, 2):  # ggml prints a backtrace where it gives up, FFmpeg its opinion of each file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    threading.Thread(target=_end_with_starter, daemon=True).start()
    if memory is not None:
        _limit(memory)
    with contextlib.suppress(EOFError, OSError):
        while True:
            seconds, args, kwargs = line.recv()
            _end_after(seconds + _GRACE)
            answer = _tried(function, args, kwargs)
            _end_after(0)
            line.send(answer)


def _end_with_starter() -> None:
    """A starter that was killed could not end this process, which may be in the middle of a file that takes for ever."""
    starter = multiprocessing.parent_process()
    if starter is not None:
        starter.join()
        os._exit(1)


def _end_after(seconds: float) -> None:
    """Let the system end this process after so long, whatever a library is doing; 0 takes it back."""
    if sys.platform != "win32":
        signal.alarm(math.ceil(seconds))


def _tried(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    try:
        return True, function(*args, **kwargs)
    except MediaError as error:
        return False, (type(error), error.what, error.advice)
    except Exception as error:  # noqa: BLE001 - whatever a reader makes of a file, it is the file's
        return False, (UnreadableFile, f"Reading the file failed ({type(error).__name__}).", "")


def _limit(memory: int) -> None:
    if sys.platform != "win32":
        import resource

        for limit, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
            with contextlib.suppress(OSError, ValueError):  # macOS knows the first and does not take it
                resource.setrlimit(limit, (most, most))

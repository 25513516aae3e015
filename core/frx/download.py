"""One file over HTTP: resumed, bounded in time, and hashed before anyone may use it.

Nothing here knows what is fetched or why; `frx.weights.fetch` is the only caller.
"""

from __future__ import annotations

import hashlib
import http.client
import math
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from frx.errors import DataError, ResourceError
from frx.files import failing_clearly

TIMEOUT_S = 30.0
TRIES = 3
RETRY_WAIT_S = 2.0
SLOWEST_BYTES_PER_S = 1_000
CHUNK_BYTES = 1_000_000

_WEB_PAGE = "{} answered with a web page instead of a file (it may want a log-in)"

Progress = Callable[[Iterable[bytes], int | None], Iterable[bytes]]


class _BrokenOffError(Exception):
    """This try failed in a way that another try may mend."""


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    url: str,
    part: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> str:
    """Fetch `url` into `part`, going on where an earlier attempt stopped; return its SHA-256.

    `progress` wraps the pieces of 1 MB, and is told how many to expect. Without a known `sha256`
    every try starts anew, for a stale piece could not be told from a good one. A file with the
    wrong hash is deleted before the error is raised; of a hash its beginning alone may be given.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url} is not an address that starts with https:// or http://")
    if sha256 is None:
        part.unlink(missing_ok=True)
    earlier = _bytes_of(part)
    if size is None or earlier != size:
        _receive_with_retries(url, part, sha256 is not None, size, progress)
    if _is_web_page(part):
        part.unlink()
        raise DataError(_WEB_PAGE.format(url))
    got = sha256_of(part)
    if sha256 is None or got.startswith(sha256):
        return got
    part.unlink()
    if earlier:
        # the piece left by an earlier run may have been of another version of the file
        return download(url, part, sha256=sha256, size=size, progress=progress)
    raise DataError(
        f"what {url} sent has SHA-256 {got}, expected {sha256}; it has been deleted, for it is not "
        f"the published file"
    )


def _receive_with_retries(
    url: str, part: Path, resume: bool, size: int | None, progress: Progress | None
) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            if not resume:
                part.unlink(missing_ok=True)
            return _receive(url, part, size, progress)
        except _BrokenOffError as error:
            if attempt == TRIES:
                kept = _bytes_of(part) / 1e6
                rest = f"; the first {kept:.1f} MB are kept for the next run" if resume else ""
                raise ResourceError(f"{url}: {error}, {TRIES} times{rest}") from error
            time.sleep(RETRY_WAIT_S * attempt)


def _receive(url: str, part: Path, size: int | None, progress: Progress | None) -> None:
    have = _bytes_of(part)
    headers = {"User-Agent": "frx"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S
        ) as reply:
            if reply.status != http.HTTPStatus.PARTIAL_CONTENT:
                have = 0
            elif not reply.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                part.unlink()
                raise _BrokenOffError("the server resumed at another place than asked")
            length = reply.headers.get("Content-Length", "")
            whole = have + int(length) if length.isdigit() else None
            if "html" in reply.headers.get_content_type():
                raise DataError(_WEB_PAGE.format(url))
            if size is not None and whole is not None and whole != size:
                raise DataError(f"{url} holds {whole:,} bytes, the published file {size:,}")
            _save(reply, part, have, whole or size, progress)
    except urllib.error.HTTPError as error:
        _refuse(url, error, part)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _BrokenOffError(connection_failed(error)) from error


def connection_failed(error: Exception) -> str:
    """What to say of an error that urllib raised where no answer came."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        reason = f"silence for {TIMEOUT_S:g} s"
    return f"the connection failed ({reason})"


def _refuse(url: str, error: urllib.error.HTTPError, part: Path) -> None:
    code = error.code
    error.close()
    if code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)
        raise _BrokenOffError("the server cannot go on from the piece that is here")
    if code >= 500 or code in (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS):
        raise _BrokenOffError(f"the server answered {code} ({error.reason})")
    raise DataError(f"{url} answered {code} ({error.reason})")


def _save(
    reply: http.client.HTTPResponse,
    part: Path,
    have: int,
    whole: int | None,
    progress: Progress | None,
) -> None:
    chunks: Iterable[bytes] = _chunks(reply)
    if progress is not None:
        chunks = progress(
            chunks, None if whole is None else math.ceil((whole - have) / CHUNK_BYTES)
        )
    with failing_clearly(part):
        file = part.open("ab" if have else "wb")
    with file:
        for chunk in chunks:
            have += len(chunk)
            # not around the whole loop, for the chunks' own OSErrors are those of the network
            with failing_clearly(part):
                file.write(chunk)
                file.flush()
            if whole is not None and have > whole:
                file.truncate(0)
                raise _BrokenOffError(f"the server sent more than the {whole:,} bytes of the file")
        os.fsync(file.fileno())
    if whole is not None and have < whole:
        raise _BrokenOffError(f"the connection ended after {have:,} of {whole:,} bytes")


def _chunks(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    """Pieces of 1 MB; what came before a failure is still handed on, so that it can be kept."""
    pending = bytearray()
    window_start, window_bytes = time.monotonic(), 0
    while True:
        try:
            piece = reply.read1(65_536)
        except (http.client.HTTPException, OSError):
            yield bytes(pending)
            raise
        pending += piece
        window_bytes += len(piece)
        elapsed = time.monotonic() - window_start
        # a socket's timeout starts anew with every byte: a server that drips would hold us for ever
        if elapsed >= TIMEOUT_S:
            if window_bytes < SLOWEST_BYTES_PER_S * elapsed:
                yield bytes(pending)
                raise _BrokenOffError(f"only {window_bytes} bytes came in {elapsed:.0f} s")
            window_start, window_bytes = time.monotonic(), 0
        if len(pending) >= CHUNK_BYTES or not piece:
            yield bytes(pending)
            pending.clear()
        if not piece:
            return


def _is_web_page(part: Path) -> bool:
    with part.open("rb") as file:
        start = file.read(256).lstrip().lower()
    return start.startswith((b"<!doctype", b"<html"))


def _bytes_of(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0

"""What a hub of models says about a file before it is fetched: its size, and what it hashes to.

The hub is Hugging Face's, or the mirror that the variable HF_ENDPOINT names.
"""

from __future__ import annotations

import email.message
import http
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import IO

from attrs import frozen

from frx.download import TIMEOUT_S, connection_failed
from frx.errors import DataError, ResourceError

HUB = "https://huggingface.co"


def refuse_offline() -> None:
    """Nothing, unless the user wants frx to leave the network alone.

    Raises:
        ResourceError: FRX_OFFLINE is set.
    """
    if os.environ.get("FRX_OFFLINE", "") not in ("", "0"):
        raise ResourceError("FRX_OFFLINE is set, so frx does not touch the network")


@frozen(kw_only=True)
class Listed:
    """A file of a hub, at an address where it will not change."""

    url: str
    sha256: str | None
    bytes: int | None


def listed(repository: str, file: str, revision: str = "main") -> Listed | None:
    """What the hub has under this name; None: the repository has no such file.

    Its SHA-256 is known where the hub keeps the file as a large one, as it does all weights.

    Raises:
        DataError: there is no such repository, or it wants a log-in.
        ResourceError: the hub cannot be reached, or FRX_OFFLINE is set.
    """
    refuse_offline()
    hub = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    if urllib.parse.urlsplit(hub).scheme not in ("http", "https"):
        raise DataError(
            f"HF_ENDPOINT is {hub}, not an address that starts with https:// or http://"
        )
    url = f"{hub}/{repository}/resolve/{revision}/{file}"
    headers = _headers(url)
    if headers is None:
        return None
    commit = headers.get("X-Repo-Commit", "")
    pinned = commit if re.fullmatch(r"[0-9a-f]{40}", commit) else revision
    tag = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").strip('W/"').lower()
    size = headers.get("X-Linked-Size", "")
    return Listed(
        url=f"{hub}/{repository}/resolve/{pinned}/{file}",
        sha256=tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None,
        bytes=int(size) if size.isdigit() else None,
    )


class _OnTheHub(urllib.request.HTTPRedirectHandler):
    """Follow a repository to its new name, but not a file to where its bytes lie."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if "X-Linked-Etag" in headers:
            return None
        moved = super().redirect_request(req, fp, code, msg, headers, newurl)
        if moved is not None:
            moved.method = "HEAD"
        return moved


def _headers(url: str) -> email.message.Message | None:
    request = urllib.request.Request(url, headers={"User-Agent": "frx"}, method="HEAD")
    opener = urllib.request.build_opener(_OnTheHub)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as reply:
            found: email.message.Message = reply.headers
            return found
    except urllib.error.HTTPError as error:
        error.close()
        if error.code < http.HTTPStatus.BAD_REQUEST:
            return error.headers
        if error.code == http.HTTPStatus.NOT_FOUND:
            return None
        kind = ResourceError if error.code >= 500 or error.code == 429 else DataError
        raise kind(f"{url} answered {error.code} ({error.reason})") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise ResourceError(f"{url}: {connection_failed(error)}") from error

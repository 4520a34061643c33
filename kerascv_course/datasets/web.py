"""Questions to web servers: how an address is opened, what its faults mean, and when another try may help."""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

AGENT = {"User-Agent": "kerascv-course"}
LONGEST_PAUSE = 30.0  # seconds
_LONGEST_TEXT = 1 << 20
_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How long a download waits, and for what; a mere question takes the time-out, the tries and the pause.

    Attributes:
        timeout: Longest wait for a connection, and between two packets, in seconds.
        window: Span over which the rate is measured, in seconds.
        least_rate: A slower transfer is given up as stalled, in bytes per second.
        good_rate: Of several addresses a slower one is left for the next at first, in bytes per second.
        tries: Tries of one address in a row that bring less than a hundredth of the file.
        pause: Wait before the second try, in seconds; twice as long before each further one, at most 30.
        abandoned: Another process that gave no sign of life for so long is taken for dead, in seconds.
    """

    timeout: float = 20.0
    window: float = 15.0
    least_rate: float = 1e3
    good_rate: float = 5e5
    tries: int = 5
    pause: float = 1.0
    abandoned: float = 10.0


def is_web_address(address: str) -> bool:
    """Say whether the text is a complete address that begins with http:// or https://, without a password in it.

    Example:
        >>> is_web_address("https://www.cs.toronto.edu/~kriz/"), is_web_address("file:///etc/passwd")
        (True, False)
    """
    try:
        parts = urlsplit(address)
        _ = parts.port  # a bad one is noticed when it is asked for
    except ValueError:
        return False
    is_plain = address.isascii() and address.isprintable() and " " not in address
    return is_plain and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


class TryError(Exception):
    """Why a try failed, and whether another one at the same address may do better."""

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.again = again


def ask(address: str, method: str = "GET", patience: Patience | None = None) -> tuple[int | None, bytes]:
    """Return the stated length and the content, up to 1 MiB, of what lies at an address.

    Args:
        address: An http or https address.
        method: "GET", or "HEAD" for the length alone.
        patience: Time-out, tries and pauses; those of `Patience` by default.

    Returns:
        The length in bytes, `None` where the server does not say it, and the content.

    Raises:
        ConnectionError: If it cannot be had; says why.
    """
    headers, content = _answer(address, method, patience or Patience())
    length = headers.get("Content-Length", "")
    return (int(length) if length.isdecimal() else None), content


def ask_headers(address: str, patience: Patience | None = None) -> Message:
    """Return what the server states about an address in its answer to HEAD.

    Args:
        address: An http or https address.
        patience: Time-out, tries and pauses; those of `Patience` by default.

    Returns:
        The headers; `get_all` has those that come more than once.

    Raises:
        ConnectionError: If the server cannot be asked; says why.
    """
    return _answer(address, "HEAD", patience or Patience())[0]


def _answer(address: str, method: str, patience: Patience) -> tuple[Message, bytes]:
    request = urllib.request.Request(address, headers=AGENT, method=method)
    tries, pause = 0, patience.pause
    while True:
        try:
            with open_address(request, patience.timeout) as response:
                try:
                    return response.headers, response.read(_LONGEST_TEXT)
                except (OSError, http.client.HTTPException) as error:
                    raise network_failure(error, patience.timeout) from error
        except TryError as failure:
            tries += 1
            if not failure.again or tries >= patience.tries:
                raise ConnectionError(f"{address}: {failure}") from failure
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def open_address(request: urllib.request.Request, timeout: float, done: int = 0) -> http.client.HTTPResponse:
    """Open an address, or raise `TryError`; `done` are the bytes that are there already, for its text."""
    try:
        return _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise TryError(f"HTTP {error.code} {error.reason}", error.code in _WORTH_ANOTHER_TRY) from error
    except (OSError, http.client.HTTPException) as error:
        raise network_failure(error, timeout, done) from error


def network_failure(error: Exception, timeout: float, done: int = 0) -> TryError:
    """Return what an error of the network says in words, and whether another try may do better."""
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return TryError(f"stalled: nothing came for {timeout:g} s, at {done:,} bytes")
    if isinstance(reason, ssl.SSLCertVerificationError):
        way_out = "Check the clock and the network's log-in page; macOS: run `Install Certificates.command`"
        return TryError(f"its certificate is not valid ({reason.verify_message}). {way_out}", again=False)
    return TryError(str(reason) or type(reason).__name__)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone, and none that would give up the certificate check."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not is_web_address(newurl) or (req.type == "https" and urlsplit(newurl).scheme != "https"):
            fp.close()
            raise TryError(f"it leads to {newurl}, which is not followed", again=False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener of http and https; `build_opener` would add ftp, file and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _SafeRedirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener

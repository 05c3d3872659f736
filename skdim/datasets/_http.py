"""Read a URL of an untrusted server: no response can block forever, exhaust the memory, or open other resources.

Only https is allowed, and http on localhost (a mirror, a test); the same holds for redirects. A server that sends too
little or too much is given up. There are two kinds of errors: :class:`Trouble` is temporary, :class:`Refusal` is not.
"""

from __future__ import annotations

import functools
import http.client
import io
import ipaddress
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import urljoin, urlsplit

from .._version import __version__

#: Minimum bytes per second, on average over the timeout.
MIN_RATE = 1000
#: Bytes allowed in addition to the content: headers, and the framing of chunks.
_AROUND = 2**20
_CHUNK = 2**16
_MAX_REDIRECTS = 5
#: Temporary errors, besides all from 500 on: timeout, too early, too many requests.
_TEMPORARY = (408, 425, 429)


class Trouble(Exception):
    """Temporary error: no connection, a broken connection, a server error."""


class Refusal(Exception):
    """Permanent error: the server does not have the file, or it may not be downloaded."""


def check_url(url):
    """Raise ValueError unless the URL has https, or http on localhost."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"cannot download {url!r}: percent-encode spaces and special characters")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"the URL of {parts.hostname} has a user name or password, which is not supported")
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError(f"cannot download {url!r}: it must start with https:// and have a host")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"cannot download {url!r}: http is allowed only for localhost; use https")


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_url(url, headers, *, timeout, max_bytes):
    """Request a URL.

    Parameters
    ----------
    url : str
    headers : dict of str to str
    timeout : float
        Seconds after which a server that sends fewer than ``MIN_RATE`` bytes per second is given up.
    max_bytes : int
        Maximum size of the content.

    Returns
    -------
    http.client.HTTPResponse
        With status 200, 206 or 416. Read it with :func:`chunks`, then close it.

    Raises
    ------
    Trouble, Refusal
    """
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(_Handler(functools.partial(_PacedResponse, max_bytes=max_bytes)))
    headers = {"User-Agent": f"skdim/{__version__}", "Accept-Encoding": "identity", **headers}
    for _ in range(_MAX_REDIRECTS + 1):
        response = _call(opener.open, urllib.request.Request(url, headers=headers), timeout=timeout)
        if response.status in (200, 206, 416):
            return response
        # Do not read the content of other responses: it may be endless.
        response.close()
        location = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or location is None:
            problem = f"the server answered {response.status} {response.reason}"
            temporary = response.status >= 500 or response.status in _TEMPORARY
            raise Trouble(problem) if temporary else Refusal(problem)
        url = _redirected(url, location)
    raise Refusal(f"the server redirects more than {_MAX_REDIRECTS} times")


def chunks(response):
    """Yield the content of a response as it arrives. Raise Trouble if the connection breaks."""
    while piece := _call(response.read1, _CHUNK):
        yield piece


def _call(function, *args, **kwargs):
    """Call a function, and raise network errors as Trouble."""
    try:
        return function(*args, **kwargs)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Refusal(f"the server's certificate is not valid: {error.reason.verify_message}") from error
        raise Trouble(f"no connection: {error.reason}") from error
    except TimeoutError as error:
        raise Trouble(f"the server is too slow: {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a chunk of invalid size
        raise Trouble(f"the connection broke: {type(error).__name__}: {error}") from error


def _redirected(url, where):
    new = urljoin(url, where)
    try:
        check_url(new)
    except ValueError as error:
        raise Refusal(f"the server redirects to a URL that is not allowed: {error}") from None
    if _is_loopback(urlsplit(new).hostname) and not _is_loopback(urlsplit(url).hostname):
        raise Refusal(f"the server redirects to localhost ({new!r}), which is not allowed")
    return new


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https with a given response class. Unlike urllib's default handlers, no files and no ftp."""

    def __init__(self, response_class):
        super().__init__()
        self._response_class = response_class

    def _connect(self, connection_class, host, **options):
        connection = connection_class(host, **options)
        connection.response_class = self._response_class
        return connection

    def http_open(self, request):
        return self.do_open(functools.partial(self._connect, http.client.HTTPConnection), request)

    def https_open(self, request):
        connect = functools.partial(self._connect, http.client.HTTPSConnection)
        return self.do_open(connect, request, context=ssl.create_default_context())

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _PacedResponse(http.client.HTTPResponse):
    """A response that reads all bytes, including headers, through :class:`_Paced`."""

    def __init__(self, sock, *args, max_bytes, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Paced(self.fp.detach(), sock.gettimeout(), 2 * max_bytes + _AROUND))


class _Paced(io.RawIOBase):
    """Reads bytes of a socket while they arrive fast enough and are not too many.

    The timeout of a socket restarts with each byte: one byte every few seconds would block for days.
    """

    def __init__(self, raw, period, limit):
        self._raw, self._period, self._left = raw, period, limit
        self._since, self._count = None, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        n = self._raw.readinto(buffer)
        self._left -= n
        self._count += n
        now = time.monotonic()
        if self._since is None:  # the timeout of the socket covers the time before
            self._since = now
        elapsed = now - self._since
        if self._left < 0:
            raise OSError("the server sent too many bytes")
        if elapsed > self._period:
            if self._count < MIN_RATE * self._period:
                raise TimeoutError(f"only {self._count} bytes in {elapsed:.0f} s")
            self._since, self._count = now, 0
        return n

    def close(self):
        self._raw.close()
        super().close()

"""Reading a URL that need not be friendly: no answer makes this wait for ever, fill the memory, or open anything else.

https only, and http on this machine (a mirror, a test). Redirects are followed under the same rule. A server that sends
nothing, or next to nothing, is given up; so is one that sends more than was agreed. What is wrong is told in two kinds:
a :class:`Trouble` may pass, a :class:`Refusal` will not.
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

#: Bytes a second, on average over a time-out: less than this is stalling.
MIN_RATE = 1000
#: Bytes that an answer may have besides its content: headers, and the frames of chunks.
_AROUND = 2**20
_CHUNK = 2**16
_MAX_REDIRECTS = 5
#: Not 404: "too busy", "try later", and all from 500 on.
_PASSING = (408, 425, 429)


class Trouble(Exception):
    """What may go better the next time: no connection, a broken one, a server out of order."""


class Refusal(Exception):
    """What will not: the server does not have it, or it is not what may be fetched."""


def check_url(url):
    """Raise ValueError unless the URL is one of https, or of http on this machine."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"cannot fetch {url!r}: write spaces and other characters as %20 and so on")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"the URL of {parts.hostname} has a user name or password in it, which is not supported")
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError(f"cannot fetch {url!r}: it must start with https:// and name a host")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"cannot fetch {url!r}: http is for this machine only; use https")


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_url(url, headers, *, timeout, max_bytes):
    """Ask for a URL.

    Parameters
    ----------
    url : str
    headers : dict of str to str
    timeout : float
        Seconds without any byte, or with fewer than ``MIN_RATE`` a second, until the server is given up.
    max_bytes : int
        Largest content that is waited for.

    Returns
    -------
    http.client.HTTPResponse
        Of status 200, 206 or 416. To be closed; to be read by :func:`chunks`.

    Raises
    ------
    Trouble, Refusal
    """
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(_Handler(functools.partial(_PacedResponse, max_bytes=max_bytes)))
    headers = {"User-Agent": f"skdim/{__version__}", "Accept-Encoding": "identity", **headers}
    for _ in range(_MAX_REDIRECTS + 1):
        response = _tell(opener.open, urllib.request.Request(url, headers=headers), timeout=timeout)
        if response.status in (200, 206, 416):
            return response
        # Nothing of another answer is read: it may be endless.
        response.close()
        where = response.headers.get("Location")
        if response.status not in (301, 302, 303, 307, 308) or where is None:
            problem = f"the server answers {response.status} {response.reason}"
            passing = response.status >= 500 or response.status in _PASSING
            raise Trouble(problem) if passing else Refusal(problem)
        url = _redirected(url, where)
    raise Refusal(f"the server redirects more than {_MAX_REDIRECTS} times")


def chunks(response):
    """The content of an answer, piece by piece as it comes; Trouble where the connection breaks."""
    while piece := _tell(response.read1, _CHUNK):
        yield piece


def _tell(function, *args, **kwargs):
    """Call, with all that a network does wrong as Trouble."""
    try:
        return function(*args, **kwargs)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise Refusal(f"the server's certificate is not valid: {error.reason.verify_message}") from error
        raise Trouble(f"no connection: {error.reason}") from error
    except TimeoutError as error:
        raise Trouble(f"the server stalls: {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a chunk of no number of bytes
        raise Trouble(f"the connection broke: {type(error).__name__}: {error}") from error


def _redirected(url, where):
    new = urljoin(url, where)
    try:
        check_url(new)
    except ValueError as error:
        raise Refusal(f"the server redirects, and not to a place to follow: {error}") from None
    if _is_loopback(urlsplit(new).hostname) and not _is_loopback(urlsplit(url).hostname):
        raise Refusal(f"the server redirects to this machine ({new!r}), which is not followed")
    return new


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https, with responses that are paced. Unlike urllib's own set it knows no files and no ftp."""

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
    """A response whose every byte, also of the headers, comes through :class:`_Paced`."""

    def __init__(self, sock, *args, max_bytes, **kwargs):
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Paced(self.fp.detach(), sock.gettimeout(), 2 * max_bytes + _AROUND))


class _Paced(io.RawIOBase):
    """Bytes of a socket, as long as they come fast enough and are not too many.

    A socket's own time-out begins anew with each byte: one byte every few seconds would keep it waiting for days.
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
        if self._since is None:  # A server may think first; the socket's time-out counts that.
            self._since = now
        elapsed = now - self._since
        if self._left < 0:
            raise OSError("the server does not stop sending")
        if elapsed > self._period:
            if self._count < MIN_RATE * self._period:
                raise TimeoutError(f"only {self._count} bytes in {elapsed:.0f} s")
            self._since, self._count = now, 0
        return n

    def close(self):
        self._raw.close()
        super().close()

"""A local HTTP server with scripted responses, valid or faulty."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(contextlib.AbstractContextManager):
    """Answers each request with the next of ``answers``, and repeats the last one.

    Parameters
    ----------
    *answers : callables
    tls : ssl.SSLContext, default=None
        To serve https.

    Attributes
    ----------
    answers : list of callables
        Each takes the request's handler.
    requests : list of (str, dict)
        Path and headers (names in lower case) of each request received.
    """

    def __init__(self, *answers, tls=None):
        self.answers, self.requests = list(answers), []
        self.ended = threading.Event()
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.ended, self.close_connection = server.ended, True
                with server._lock:
                    server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                    answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                with contextlib.suppress(OSError):  # the client closed the connection
                    answer(self)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls is not None:
            # The handshake waits for the thread of the connection.
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'' if tls is None else 's'}://127.0.0.1:{self._http.server_address[1]}"
        # A short interval, so that shutdown is fast.
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __exit__(self, *exception):
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def ranges(self):
        """The Range header of each request, or None."""
        return [headers.get("range") for _, headers in self.requests]


def begin(handler, status, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def whole(content, **headers):
    """The whole content, also if a range is requested."""

    def answer(handler):
        begin(handler, 200, **{"Content_Length": len(content), **headers})
        handler.wfile.write(content)

    return answer


def rest(content, etag=None, *, heeds_if_range=True):
    """A correct server: the requested range if the file has not changed, else the whole content."""
    tag = {} if etag is None else {"ETag": etag}

    def answer(handler):
        asked = handler.headers.get("Range")
        if asked is None or (heeds_if_range and handler.headers.get("If-Range", etag) != etag):
            return whole(content, **tag)(handler)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return begin(handler, 416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        begin(handler, 206, Content_Range=span, Content_Length=len(content) - start, **tag)
        handler.wfile.write(content[start:])

    return answer


def broken(content, size, **headers):
    """The first bytes of the content, then the connection is closed."""

    def answer(handler):
        begin(handler, 200, Content_Length=len(content), **headers)
        handler.wfile.write(content[:size])

    return answer


def stalling(content, size, **headers):
    """The first bytes of the content, then nothing; the connection stays open."""

    def answer(handler):
        begin(handler, 200, Content_Length=len(content), **headers)
        handler.wfile.write(content[:size])
        handler.ended.wait()

    return answer


def dripping(text):
    """One byte at a time, each well before the time-out, without end."""

    def answer(handler):
        handler.wfile.write(text)
        while not handler.ended.is_set():
            handler.wfile.write(b"x")
            time.sleep(0.02)

    return answer


def silent(handler):
    handler.ended.wait()


def endless(text):
    """As fast as possible, without end."""

    def answer(handler):
        handler.wfile.write(text)
        while not handler.ended.is_set():
            handler.wfile.write(b"x: y\r\n" * 2**14)

    return answer


def status(code, **headers):
    return lambda handler: begin(handler, code, **headers)

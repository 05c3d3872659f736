"""A local server with the part of the Hugging Face hub's interface that skdim uses, honest or not."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubServer(contextlib.AbstractContextManager):
    """A hub with one repository.

    Attributes
    ----------
    files : dict of str to bytes
        Of the newest commit.
    served : dict of str to bytes
        Files that are sent instead, with the size and the ETag of those.
    cut : dict of str to int
        Number of bytes after which the connection is closed.
    sizes : dict of str to int
        Sizes that HEAD requests claim.
    requests : list of (str, str)
        Method and path of each request.
    tokens : set of str
        Authorization headers received.
    """

    repo_id = "organisation/name"

    def __init__(self):
        self.files, self.served, self.cut, self.sizes = {}, {}, {}, {}
        self.requests, self.tokens, self.created = [], set(), []
        self.commit = "0" * 40
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                server._file(self, body=False)

            def do_GET(self):
                server._file(self, body=True)

            def do_POST(self):
                server._post(self)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __exit__(self, *exception):
        self._http.shutdown()
        self._http.server_close()

    def _record(self, handler):
        self.requests.append((handler.command, handler.path))
        self.tokens.add(handler.headers.get("Authorization"))

    def _file(self, handler, body):
        self._record(handler)
        repo, _, rest = handler.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if repo != self.repo_id or revision not in ("main", self.commit) or name not in self.files:
            code = "EntryNotFound" if repo == self.repo_id else "RepoNotFound"
            return self._answer(handler, 404, b"", {"X-Error-Code": code, "X-Error-Message": "no such file"}, body)
        content = self.files[name]
        size = self.sizes.get(name, len(content))
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": self.commit}
        headers |= {"X-Linked-Size": str(size)} if name in self.sizes else {}
        content = self.served.get(name, content)
        return self._answer(handler, 200, content, headers, body, self.cut.get(name))

    def _post(self, handler):
        self._record(handler)
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.path == "/api/repos/create":
            self.created.append(json.loads(content))
            answer = {"url": f"{self.url}/{self.repo_id}", "id": self.repo_id}
        elif handler.path == "/api/validate-yaml":
            answer = {"warnings": [], "errors": []}
        elif "/preupload/" in handler.path:
            names = [file["path"] for file in json.loads(content)["files"]]
            answer = {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        elif "/commit/" in handler.path:
            for entry in map(json.loads, content.splitlines()):
                if entry["key"] == "file":
                    self.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self.commit = hashlib.sha1(b"".join(self.files.values())).hexdigest()
            url = f"{self.url}/{self.repo_id}/commit/{self.commit}"
            answer = {"commitUrl": url, "commitOid": self.commit, "hookOutput": ""}
        else:
            return self._answer(handler, 404, b"{}", {}, True)
        return self._answer(handler, 200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, True)

    @staticmethod
    def _answer(handler, status, content, headers, body, cut=None):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if body:
            with contextlib.suppress(OSError):
                handler.wfile.write(content[:cut])
        handler.close_connection = cut is not None

"""A mirror on 127.0.0.1 that misbehaves on demand, for the tests of downloads.

    python3 mirror.py ROOT [FILLER]

Serves ROOT/FILE as http://127.0.0.1:PORT/MODE/FILE and prints "port PORT", then a line a request: "MODE FILE STATUS FIRST-BYTE".
Ends with its standard input, and after five minutes whatever happens.

ok      the file, or its rest       cut      at most a third of it, then the connection is closed
404     always                      norange  the same, and no rests: all from the beginning at the second request
503     always                      wrong    one bit of it differs
busy    503 twice, then the file    stall    half of it, then nothing more, ever
fill    half of it; then FILLER is written until the disk is full, then the rest
"""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = sys.argv[1]
FILLER = sys.argv[2] if len(sys.argv) > 2 else None
requests = {}
end = threading.Event()


class Mirror(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        mode, _, name = self.path.lstrip("/").partition("/")
        requests[self.path] = requests.get(self.path, 0) + 1
        first, status = 0, 200
        rest = self.headers.get("Range", "")
        path = os.path.join(ROOT, name)
        if mode in ("404", "503"):
            return self.refuse(mode, name, int(mode))
        if mode == "busy" and requests[self.path] <= 2:
            return self.refuse(mode, name, 503)
        if not os.path.isfile(path):
            return self.refuse(mode, name, 404)
        with open(path, "rb") as file:
            content = file.read()
        if mode == "wrong":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if rest.startswith("bytes=") and mode != "norange":
            first, status = int(rest[6:].split("-")[0]), 206
            if first >= len(content):
                return self.refuse(mode, name, 416)
        print(mode, name, status, first, flush=True)
        body = content[first:]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        third = len(content) // 3 + 1
        if mode == "cut" or (mode == "norange" and requests[self.path] == 1):
            self.wfile.write(body[:third])
            self.close_connection = True
        elif mode in ("stall", "fill"):
            # Nothing at all to who comes again for the rest.
            self.wfile.write(body[: len(body) // 2] if first == 0 else b"")
            self.wfile.flush()
            if mode == "stall":
                end.wait()
                return
            self.fill()
            self.wfile.write(body[len(body) // 2 :] if first == 0 else body)
        else:
            self.wfile.write(body)

    def fill(self):
        try:
            with open(FILLER, "ab", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
        except OSError:
            pass

    def refuse(self, mode, name, status):
        print(mode, name, status, 0, flush=True)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
server.daemon_threads = True
# Clients that go away in the middle are what it is for.
server.handle_error = lambda *_: None
threading.Thread(target=server.serve_forever, daemon=True).start()
threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
print("port", server.server_address[1], flush=True)
end.wait(300)
os._exit(0)

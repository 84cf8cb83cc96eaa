"""A hub between a client and the hub, that writes down what both say. Addresses in answers lead back to it, since the hub makes them as it was addressed."""
import http.client
import http.server
import threading


class Exchange:
    """A whole request and its answer; header names in lower case."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.status, self.answer_headers, self.answer = None, {}, b""


class RecordingProxy:
    def __init__(self, target):
        self.exchanges = []  # in the order in which requests arrived
        lock, exchanges = threading.Lock(), self.exchanges

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def read_chunked(self):
                data = b""
                while length := int(self.rfile.readline().split(b";")[0], 16):
                    data += self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()
                return data

            def pass_on(self):
                headers = {key.lower(): value for key, value in self.headers.items()}
                body = self.read_chunked() if "transfer-encoding" in headers else self.rfile.read(int(headers.get("content-length", 0)))
                exchange = Exchange(self.command, self.path, headers, body)
                with lock:
                    exchanges.append(exchange)
                own = {key: value for key, value in headers.items() if key not in ("transfer-encoding", "connection", "content-length", "expect", "accept-encoding")}
                if body or self.command in ("POST", "PUT", "PATCH"):
                    own["content-length"] = str(len(body))
                connection = http.client.HTTPConnection("127.0.0.1", target, timeout=120)
                connection.request(self.command, self.path, body, own)
                answer = connection.getresponse()
                exchange.answer = answer.read()
                exchange.answer_headers = {key.lower(): value for key, value in answer.getheaders()}
                exchange.status = answer.status
                connection.close()
                self.send_response_only(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(key, value)
                length = answer.getheader("content-length") if self.command == "HEAD" else str(len(exchange.answer))
                if length is not None and answer.status not in (204, 304):
                    self.send_header("Content-Length", length)
                self.end_headers()
                self.wfile.write(exchange.answer)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

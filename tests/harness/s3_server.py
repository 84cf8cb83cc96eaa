"""An S3 service (moto) that checks signatures, run by its own environment's Python: prints address and keys as a line of JSON and serves until it is killed.

With --unreliable, one PUT in five is answered 503 and one in seven has its connection closed, as a service far away does now and then. With --one-manifest, a
second manifest is refused, so that a backup breaks off at its end."""
import itertools
import json
import socket
import sys
import threading
import urllib.request

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "backups"


class Unreliable:
    def __init__(self, app):
        self.app, self.puts, self.fails = app, itertools.count(1), False
        self.manifests = 1 if "--one-manifest" in sys.argv else 1000

    def __call__(self, environ, start_response):
        number = next(self.puts) if self.fails and environ["REQUEST_METHOD"] == "PUT" else 1
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith("/manifest.json"):
            self.manifests -= 1
            if self.manifests < 0:
                start_response("403 Forbidden", [("Content-Type", "application/xml")])
                return [b"<Error><Code>AccessDenied</Code><Message>No more of them.</Message></Error>"]
        if number % 7 == 0:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError("closed on purpose")
        if number % 5 == 0:
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
        return self.app(environ, start_response)


def main():
    app = Unreliable(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    anyone = {"endpoint_url": url, "region_name": "us-east-1", "aws_access_key_id": "anyone", "aws_secret_access_key": "any"}
    iam = boto3.client("iam", **anyone)
    iam.create_user(UserName="keeper")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="keeper", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="keeper")["AccessKey"]
    boto3.client("s3", **anyone).create_bucket(Bucket=BUCKET)
    checks = urllib.request.Request(f"{url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(checks).read()  # from here on signatures are checked
    app.fails = "--unreliable" in sys.argv
    print(json.dumps({"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}), flush=True)
    threading.Event().wait()


main()

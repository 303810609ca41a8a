#!/usr/bin/env python3
"""A user of the run's realm logs in by password and gets a token of the right issuer."""

import base64
import http.client
import json
import os
import socket
import ssl
import urllib.parse
from pathlib import Path

credentials = json.loads(Path(os.environ["CI_WARM_CREDENTIALS"]).read_text())
issuer = urllib.parse.urlsplit(credentials["issuer"])
# The shared ingress serves both names: the app's and the single sign-on's.
where = (os.environ["CI_WARM_ADDRESS"], int(os.environ["CI_WARM_PORT"]))
wanted = ("client_id", "client_secret", "username", "password")
form = {"grant_type": "password"} | {key: credentials[key] for key in wanted}
if issuer.scheme == "https":
    trust = ssl.create_default_context(cafile=os.environ.get("CI_WARM_CA_FILE") or None)
    server = http.client.HTTPSConnection(issuer.hostname, context=trust, timeout=20)
else:
    server = http.client.HTTPConnection(issuer.hostname, timeout=20)
server._create_connection = lambda _address, *rest: socket.create_connection(where, *rest)
server.request(
    "POST",
    f"{issuer.path}/protocol/openid-connect/token",
    urllib.parse.urlencode(form),
    {"Content-Type": "application/x-www-form-urlencoded"},
)
answer = server.getresponse()
token = json.loads(answer.read())["access_token"]
claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
if claims["iss"] != credentials["issuer"]:
    raise SystemExit(f"issuer {claims['iss']} is not {credentials['issuer']}")
print(f"a token of {claims['iss']} for {claims.get('preferred_username')}")  # noqa: T201 - its output

"""Makes the calls that a test asks for with the real azure-ai-vision-face client.

Reads one JSON object a line from stdin and prints one a line to stdout. A command:

    {"endpoint": URL, "key": KEY, "bearer": whether KEY is a bearer token, "api_version": V or null,
     "retries": N or null, "call": METHOD of FaceSessionClient, "args": [...], "options": {...},
     "read": ["result.digest", ...]}

In `args` and `options` {"$model": CLASS, "fields": {...}} stands for an object of the client's models and
{"$bytes": HEX} for bytes. What comes back: "value" or "error"; "read", the attributes asked for, as
[type, text]; and "attempts", one for each time that a request went out and was answered.
"""

import json
import sys
import time

from azure.ai.vision.face import FaceSessionClient, models
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import AzureError


def revive(written):
    """Turns what a command holds into what the client takes."""
    if isinstance(written, list):
        return [revive(item) for item in written]
    if not isinstance(written, dict):
        return written
    if "$model" in written:
        return getattr(models, written["$model"])(**revive(written["fields"]))
    if "$bytes" in written:
        return bytes.fromhex(written["$bytes"])
    return {name: revive(item) for name, item in written.items()}


def plain(value):
    """Turns what the client gives into JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return {"$bytes": b"".join(value).hex()}


def attribute(value, path):
    """The type and the text of an attribute such as `result.digest` or `0.digest`."""
    for name in path.split("."):
        if value is None:
            break
        value = value[int(name)] if name.isdigit() else getattr(value, name)
    return [type(value).__name__, str(getattr(value, "value", value))]


class Bearer:
    """A credential that has its token already."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.token, int(time.time()) + 3600)


def perform(command):
    attempts = []

    def answered(response):
        attempts.append(
            {
                "request_id": response.http_request.headers.get("x-ms-client-request-id"),
                "url": response.http_request.url,
                "status": response.http_response.status_code,
                "headers": {name.lower(): text for name, text in response.http_response.headers.items()},
            }
        )

    settings = {}
    if command.get("api_version"):
        settings["api_version"] = command["api_version"]
    if command.get("retries") is not None:
        settings["retry_total"] = command["retries"]
    told = {"attempts": attempts}
    credential = (Bearer if command.get("bearer") else AzureKeyCredential)(command["key"])
    with FaceSessionClient(command["endpoint"], credential, **settings) as client:
        method = getattr(client, command["call"])
        options = revive(command.get("options", {}))
        try:
            value = method(*revive(command.get("args", [])), raw_response_hook=answered, **options)
            told["type"] = type(value).__name__
            told["value"] = plain(value)
            told["read"] = {path: attribute(value, path) for path in command.get("read", [])}
        except AzureError as error:
            inner = getattr(error, "error", None)
            told["error"] = {
                "type": type(error).__name__,
                "status": getattr(error, "status_code", None),
                "code": getattr(inner, "code", None),
                "message": getattr(inner, "message", None) or str(error),
            }
    return told


for line in sys.stdin:
    print(json.dumps(perform(json.loads(line))), flush=True)

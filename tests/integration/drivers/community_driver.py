"""Runs inside a client's environment: what people do with each other on a hub, through the library's public API. JSON in, JSON out.

Written for huggingface_hub 0.36 to 2.x alike."""
import dataclasses
import json
import sys
import traceback

from hub_driver import api, failure


def plain(value):
    """A dataclass or plain object as JSON can hold it."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if not field.name.startswith("_")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return {key: plain(item) for key, item in vars(value).items() if not key.startswith("_")}
    return value


# ---- gated repositories

def settings(repo, **more):
    api.update_repo_settings(repo, **more)


def access_requests(repo, status, **more):
    return plain(list(getattr(api, f"list_{status}_access_requests")(repo, **more)))


def decide(repo, decision, user, **more):
    getattr(api, f"{decision}_access_request")(repo, user, **more)


def grant_access(repo, user):
    api.grant_access(repo, user)


def auth_check(repo):
    api.auth_check(repo)


def main():
    action = globals()[sys.argv[1]]
    arguments = json.load(sys.stdin)
    try:
        answer = {"result": action(**arguments)}
    except Exception as error:  # whatever it is, the test says what it should have been
        traceback.print_exc()
        answer = {"error": failure(error)}
    print()
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()

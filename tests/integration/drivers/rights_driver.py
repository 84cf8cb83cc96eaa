"""Like hub_driver.py, for organisations, settings, moves and copies of repositories."""
import inspect

import hub_driver
from hub_driver import api


def move_repo(source, target, repo_type=None):
    api.move_repo(source, target, repo_type=repo_type)


def duplicate_repo(source, target=None, repo_type=None, **more):
    url = api.duplicate_repo(source, target, repo_type=repo_type, **more)
    return {"url": str(url), "repo_id": url.repo_id}


def settings(repo, repo_type=None, **more):
    accepted = inspect.signature(api.update_repo_settings).parameters
    if "visibility" in more and "visibility" not in accepted:  # generations before 1.0
        more["private"] = more.pop("visibility") == "private"
    api.update_repo_settings(repo, repo_type=repo_type, **more)


def super_squash(repo, **more):
    api.super_squash_history(repo, **more)


def organization(name):
    found = api.get_organization_overview(name)
    return {"name": found.name, "fullname": found.fullname, "num_users": found.num_users, "num_models": found.num_models}


def members(name):
    return [member.username for member in api.list_organization_members(name)]


def user(name):
    found = api.get_user_overview(name)
    return {"username": found.username, "fullname": found.fullname, "num_models": found.num_models, "orgs": [org.name for org in found.orgs]}


def auth_check(repo, **more):
    api.auth_check(repo, **more)


def repos(namespace=None):
    return [{"id": item.id, "type": item.type, "visibility": item.visibility, "storage": item.storage} for item in
            (api.list_user_repos(namespace) if namespace else api.list_user_repos())]


for name, function in list(globals().items()):
    if inspect.isfunction(function):
        setattr(hub_driver, name, function)

if __name__ == "__main__":
    hub_driver.main()

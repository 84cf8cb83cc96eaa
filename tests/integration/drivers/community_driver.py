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


# ---- discussions and pull requests

def discussions(repo, **more):
    return plain(list(api.get_repo_discussions(repo, **more)))


def details(repo, number, **more):
    found = api.get_discussion_details(repo, number, **more)
    return {**plain(found), "git_reference": found.git_reference, "url": found.url}


def create_discussion(repo, title, **more):
    return plain(api.create_discussion(repo, title, **more))


def create_pull_request(repo, title, **more):
    return plain(api.create_pull_request(repo, title, **more))


def comment(repo, number, text):
    return plain(api.comment_discussion(repo, number, text))


def edit_comment(repo, number, comment_id, text):
    found = api.edit_discussion_comment(repo, number, comment_id, text)
    return {**plain(found), "number_of_edits": found.number_of_edits, "history": [entry["raw"] for entry in found.edit_history],
            "last_editor": found.last_edited_by}


def hide_comment(repo, number, comment_id):
    return plain(api.hide_discussion_comment(repo, number, comment_id))


def rename(repo, number, title):
    return plain(api.rename_discussion(repo, number, title))


def change_status(repo, number, status, **more):
    return plain(api.change_discussion_status(repo, number, status, **more))


def merge(repo, number, **more):
    api.merge_pull_request(repo, number, **more)


def commit_as_pull_request(repo, files, delete=None, **more):
    """`files`: {path: text}."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    operations = [CommitOperationAdd(path, text.encode()) for path, text in files.items()]
    operations += [CommitOperationDelete(path) for path in delete or []]
    info = api.create_commit(repo, operations, commit_message="a proposal", commit_description="because", **more)
    return {"oid": info.oid, "pr_url": info.pr_url, "pr_num": info.pr_num, "pr_revision": info.pr_revision}


def upload_folder_as_pull_request(repo, folder):
    info = api.upload_folder(repo_id=repo, folder_path=folder, create_pr=True)
    return {"oid": info.oid, "pr_url": info.pr_url, "pr_num": info.pr_num, "pr_revision": info.pr_revision}


# ---- webhooks

def create_webhook(**more):
    return plain(api.create_webhook(**more))


def list_webhooks():
    return plain(api.list_webhooks())


def get_webhook(webhook):
    return plain(api.get_webhook(webhook))


def update_webhook(webhook, **more):
    return plain(api.update_webhook(webhook, **more))


def switch_webhook(webhook, to):
    return plain(getattr(api, f"{to}_webhook")(webhook))


def delete_webhook(webhook):
    api.delete_webhook(webhook)


# ---- collections

def create_collection(**more):
    return plain(api.create_collection(**more))


def get_collection(slug):
    return plain(api.get_collection(slug))


def list_collections(**more):
    return plain(list(api.list_collections(**more)))


def update_collection(slug, **more):
    return plain(api.update_collection_metadata(slug, **more))


def delete_collection(slug, **more):
    api.delete_collection(slug, **more)


def add_item(slug, **more):
    return plain(api.add_collection_item(slug, **more))


def update_item(slug, item, **more):
    api.update_collection_item(slug, item, **more)


def delete_item(slug, item, **more):
    api.delete_collection_item(slug, item, **more)


# ---- people

def follows(user):
    overview = api.get_user_overview(user)
    return {"followers": [item.username for item in api.list_user_followers(user)], "following": [item.username for item in api.list_user_following(user)],
            "counts": [overview.num_followers, overview.num_following], "is_following": overview.is_following}


# ---- buckets

def create_bucket(bucket, **more):
    return str(api.create_bucket(bucket, **more).url)


def fill_bucket(bucket, files=None, text=None, delete=None, copy=None):
    """`files`: {path: local path}; `text`: {path: content}; `copy`: [(type, id, hash, path)]."""
    add = [(local, path) for path, local in (files or {}).items()] + [(content.encode(), path) for path, content in (text or {}).items()]
    api.batch_bucket_files(bucket, add=add, delete=delete or [], copy=[tuple(item) for item in copy or []])


def bucket_tree(bucket, prefix=None, recursive=None):
    return [{"type": item.type, "path": item.path, "size": getattr(item, "size", None), "hash": getattr(item, "xet_hash", None)}
            for item in api.list_bucket_tree(bucket, prefix=prefix, recursive=recursive)]


def bucket_info(bucket):
    found = api.bucket_info(bucket)
    return {"id": found.id, "private": found.private, "size": found.size, "files": found.total_files}


def list_buckets(**more):
    return [found.id for found in api.list_buckets(**more)]


def download_bucket(bucket, files):
    """`files`: {path: local path}."""
    api.download_bucket_files(bucket, [(path, local) for path, local in files.items()])


def bucket_paths(bucket, paths):
    return [item.path for item in api.get_bucket_paths_info(bucket, paths)]


def change_bucket(bucket, private):
    api.update_bucket_settings(bucket, private=private)


def move_bucket(old, new):
    api.move_bucket(old, new)


def delete_bucket(bucket, **more):
    api.delete_bucket(bucket, **more)


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

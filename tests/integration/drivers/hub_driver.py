"""Runs inside a client's environment: one function of the hub library's public API per behaviour under test, JSON in, JSON out.

Written for huggingface_hub 0.32 to 2.x alike."""
import hashlib
import json
import os
import sys
import traceback

from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, HfFileSystem
from huggingface_hub import hf_hub_download, snapshot_download

api = HfApi()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def versions():
    import importlib.metadata as metadata
    return {name: metadata.version(name) for name in ("huggingface_hub", "hf_xet")}


def whoami():
    return api.whoami()


def create_repo(repo, repo_type=None, private=None, exist_ok=False, **more):
    url = api.create_repo(repo, repo_type=repo_type, private=private, exist_ok=exist_ok, **more)
    return {"url": str(url), "repo_id": url.repo_id}


def delete_repo(repo, repo_type=None):
    api.delete_repo(repo, repo_type=repo_type)


def repo_exists(repo, repo_type=None):
    return api.repo_exists(repo, repo_type=repo_type)


def commit_info(info):
    return {"oid": info.oid, "commit_url": info.commit_url}


def upload_folder(repo, folder, repo_type=None, **more):
    return commit_info(api.upload_folder(repo_id=repo, folder_path=folder, repo_type=repo_type, **more))


def upload_file(repo, path, path_in_repo, repo_type=None, **more):
    return commit_info(api.upload_file(repo_id=repo, path_or_fileobj=path, path_in_repo=path_in_repo, repo_type=repo_type, **more))


def upload_text(repo, text, path_in_repo, **more):
    return commit_info(api.upload_file(repo_id=repo, path_or_fileobj=text.encode(), path_in_repo=path_in_repo, **more))


def delete_file(repo, path_in_repo):
    return commit_info(api.delete_file(path_in_repo, repo_id=repo))


def delete_folder(repo, path_in_repo):
    return commit_info(api.delete_folder(path_in_repo, repo_id=repo))


def create_commit(repo, add=None, delete=None, copy=None, message="a commit", **more):
    """`add`: {path in repo: local path or {"text": ...}}; `copy`: {from: to}."""
    operations = []
    for path, source in (add or {}).items():
        operations.append(CommitOperationAdd(path, source["text"].encode() if isinstance(source, dict) else source))
    operations += [CommitOperationDelete(path) for path in delete or []]
    operations += [CommitOperationCopy(source, target) for source, target in (copy or {}).items()]
    return commit_info(api.create_commit(repo_id=repo, operations=operations, commit_message=message, **more))


def many_files(repo, count):
    """One commit of `count` small files."""
    operations = [CommitOperationAdd(f"data/{i % 100:02}/file-{i:05}.json", b'{"number": %d}\n' % i) for i in range(count)]
    return commit_info(api.create_commit(repo_id=repo, operations=operations, commit_message=f"{count} files"))


def snapshot(repo, repo_type=None, **more):
    return snapshot_download(repo, repo_type=repo_type, **more)


def download(repo, filename, repo_type=None, **more):
    path = hf_hub_download(repo, filename, repo_type=repo_type, **more)
    return {"path": path, "sha256": sha256(path), "size": os.path.getsize(path)}


def entry(item):
    lfs = getattr(item, "lfs", None)
    return {
        "path": item.path,
        "type": "file" if hasattr(item, "blob_id") else "directory",
        "oid": getattr(item, "blob_id", None) or getattr(item, "tree_id", None),
        "size": getattr(item, "size", 0),
        "sha256": lfs and lfs.sha256,
        "xet_hash": getattr(item, "xet_hash", None),
    }


def tree(repo, path_in_repo=None, recursive=False, revision=None, expand=False, repo_type=None):
    return [entry(item) for item in api.list_repo_tree(repo, path_in_repo, recursive=recursive, revision=revision, expand=expand,
                                                       repo_type=repo_type)]


def tree_count(repo):
    paths = [item.path for item in api.list_repo_tree(repo, recursive=True) if hasattr(item, "blob_id")]
    return {"count": len(paths), "unique": len(set(paths))}


def paths_info(repo, paths, expand=False, revision=None):
    return [entry(item) for item in api.get_paths_info(repo, paths, expand=expand, revision=revision)]


def files(repo, revision=None, repo_type=None):
    return api.list_repo_files(repo, revision=revision, repo_type=repo_type)


def file_exists(repo, filename, revision=None):
    return api.file_exists(repo, filename, revision=revision)


def info(repo, revision=None, repo_type=None, **more):
    found = api.repo_info(repo, revision=revision, repo_type=repo_type, **more)
    return {"id": found.id, "sha": found.sha, "private": found.private, "author": found.author, "tags": found.tags,
            "last_modified": found.last_modified.isoformat(), "siblings": [sibling.rfilename for sibling in found.siblings or []]}


def list_models(**more):
    return [model.id for model in api.list_models(**more)]


def refs(repo):
    found = api.list_repo_refs(repo)
    return {"branches": {ref.name: ref.target_commit for ref in found.branches},
            "tags": {ref.name: ref.target_commit for ref in found.tags}}


def create_branch(repo, branch, **more):
    api.create_branch(repo, branch=branch, **more)


def delete_branch(repo, branch):
    api.delete_branch(repo, branch=branch)


def create_tag(repo, tag, **more):
    api.create_tag(repo, tag=tag, **more)


def delete_tag(repo, tag):
    api.delete_tag(repo, tag=tag)


def commits(repo, revision=None):
    return [{"id": commit.commit_id, "title": commit.title, "message": commit.message, "authors": commit.authors}
            for commit in api.list_repo_commits(repo, revision=revision)]


def file_system(repo):
    """A walk through HfFileSystem, as pandas, dask and friends use it."""
    fs = HfFileSystem()
    with fs.open(f"{repo}/folder/written.txt", "w") as file:
        file.write("first line\nsecond line\n")
    with fs.open(f"{repo}/folder/data.bin", "wb") as file:
        file.write(bytes(range(256)) * 4096)
    with fs.open(f"{repo}/folder/data.bin", "rb") as file:
        file.seek(100_000)
        middle = file.read(16).hex()
    found = {
        "ls": sorted(fs.ls(f"{repo}/folder", detail=False)),
        "text": fs.read_text(f"{repo}/folder/written.txt"),
        "middle": middle,
        "size": fs.info(f"{repo}/folder/data.bin")["size"],
        "glob": sorted(fs.glob(f"{repo}/**/*.bin")),
        "exists": [fs.exists(f"{repo}/folder/written.txt"), fs.exists(f"{repo}/folder/absent.txt")],
    }
    fs.cp_file(f"{repo}/folder/data.bin", f"{repo}/copy.bin")
    fs.rm(f"{repo}/folder/written.txt")
    fs.invalidate_cache()
    found["after"] = sorted(fs.find(repo))
    return found


def list_lfs_files(repo):
    return [{"sha256": file.file_oid, "oid": file.oid, "path": file.filename, "ref": file.ref, "size": file.size, "pushed_at": file.pushed_at.isoformat()}
            for file in api.list_lfs_files(repo)]


def delete_lfs_files(repo, sha256s, rewrite_history):
    api.permanently_delete_lfs_files(repo, [file for file in api.list_lfs_files(repo) if file.file_oid in sha256s], rewrite_history=rewrite_history)


def safetensors_metadata(repo, sharded=False):
    found = api.get_sharded_safetensors_metadata(repo) if sharded else api.get_safetensors_metadata(repo)
    return {"parameters": found.parameter_count, "tensors": sorted(found.weight_map)}


def failure(error):
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", {}) or {}
    return {"name": type(error).__name__, "message": str(error), "status": getattr(response, "status_code", None),
            "code": headers.get("X-Error-Code"), "request_id": headers.get("x-request-id")}


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

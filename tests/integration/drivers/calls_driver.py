"""Runs inside a client's environment: calls of the library one after the other, each with its outcome. Written for huggingface_hub 0.32 to 2.x alike."""
import inspect
import json
import os
import sys

import huggingface_hub
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem, get_hf_file_metadata, hf_hub_url, snapshot_download

api = HfApi()


def methods():
    return [name for name, _ in inspect.getmembers(HfApi, inspect.isfunction) if not name.startswith("_")]


def status_of(error):
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def preupload(repo):
    operation = CommitOperationAdd("pre.bin", os.urandom(200_000))
    api.preupload_lfs_files(repo, additions=[operation])
    return api.create_commit(repo, operations=[operation], commit_message="uploaded before").oid


def calls(me, other, org):
    """(name, what) in the order in which they work; a name that the library of today does not know is left out."""
    repo, data, space, kernel, bucket = (f"{me}/calls-{kind}" for kind in ("model", "data", "space", "kernel", "bucket"))
    os.makedirs("folder/deep", exist_ok=True)
    for path in ("folder/a.txt", "folder/b.txt"):
        with open(path, "w") as file:
            file.write(path)
    with open("folder/deep/x.bin", "wb") as file:
        file.write(os.urandom(150_000))
    fs = HfFileSystem()
    return [
        ("create_repo", lambda: api.create_repo(repo)),
        ("upload_folder", lambda: api.upload_folder(repo_id=repo, folder_path="folder")),
        ("upload_large_folder", lambda: api.upload_large_folder(repo_id=repo, repo_type="model", folder_path="folder")),
        ("preupload_lfs_files", lambda: preupload(repo)),
        ("model_info", lambda: api.model_info(repo, files_metadata=True, securityStatus=True).sha),
        ("create_repo", lambda: api.create_repo(data, repo_type="dataset")),
        ("dataset_info", lambda: api.dataset_info(data, expand=["mainSize", "usedStorage", "tags"]).id),
        ("create_repo", lambda: api.create_repo(space, repo_type="space", space_sdk="static")),
        ("space_info", lambda: api.space_info(space).sdk),
        ("kernel_info", lambda: (api.create_repo(kernel, repo_type="kernel"), api.kernel_info(kernel))[1].id),
        ("revision_exists", lambda: [api.revision_exists(repo, "main"), api.revision_exists(repo, "absent")]),
        ("resolve_revision", lambda: str(api.resolve_revision(repo))),
        ("get_hf_file_metadata", lambda: [get_hf_file_metadata(hf_hub_url(repo, path)).size for path in ("a.txt", "deep/x.bin")]),
        ("snapshot_download", lambda: sorted(os.listdir(snapshot_download(repo, allow_patterns=["*.txt"], ignore_patterns=["b*"])))),
        ("verify_repo_checksums", lambda: api.verify_repo_checksums(repo, local_dir=snapshot_download(repo, local_dir="verified")).mismatches),
        ("copy_files", lambda: api.copy_files(f"hf://{repo}/a.txt", f"hf://{repo}/copied.txt")),
        ("delete_files", lambda: api.delete_files(repo, delete_patterns=["b.*"]).oid),
        ("list_repo_commits", lambda: len(api.list_repo_commits(repo, formatted=True)) > 3),
        ("get_full_repo_name", lambda: api.get_full_repo_name("x")),
        ("get_model_tags", lambda: sorted(api.get_model_tags())[:1]),
        ("get_dataset_tags", lambda: sorted(api.get_dataset_tags())[:1]),
        ("list_models", lambda: [item.id for item in api.list_models(author=me, sort="last_modified", full=True, cardData=True, fetch_config=True, limit=3)]),
        ("list_datasets", lambda: [item.id for item in api.list_datasets(author=me, sort="main_size" if "main_size" in str(inspect.signature(api.list_datasets)) else "likes")]),
        ("list_spaces", lambda: [item.id for item in api.list_spaces(author=me, expand=["sdk", "likes"])]),
        ("list_organization_followers", lambda: list(api.list_organization_followers(org))),
        ("list_organization_members", lambda: [item.username for item in api.list_organization_members(org)]),
        ("get_organization_overview", lambda: api.get_organization_overview(org).name),
        ("get_user_overview", lambda: api.get_user_overview(me).username),
        ("list_user_repos", lambda: [item.id for item in api.list_user_repos()][:1]),
        ("create_bucket", lambda: str(api.create_bucket(bucket))),
        ("sync_bucket", lambda: len(api.sync_bucket("folder", f"hf://buckets/{bucket}/x", quiet=True).operations)),
        ("get_bucket_file_metadata", lambda: api.get_bucket_file_metadata(bucket, "x/a.txt").size),
        ("sync_bucket", lambda: len(api.sync_bucket(f"hf://buckets/{bucket}/x", "synced", quiet=True).operations)),
        ("copy_files", lambda: api.copy_files(f"hf://{repo}/deep/x.bin", f"hf://buckets/{bucket}/copy.bin")),
        ("delete_bucket", lambda: api.delete_bucket(bucket)),
        ("create_tag", lambda: api.create_tag(repo, tag="v1", tag_message="a message")),
        ("create_branch", lambda: api.create_branch(repo, branch="dev", revision="v1", exist_ok=True)),
        ("get_paths_info", lambda: [item.path for item in api.get_paths_info(repo, "a.txt")]),
        ("update_repo_settings", lambda: api.update_repo_settings(repo, gated="auto")),
        ("grant_access", lambda: api.grant_access(repo, other)),
        ("list_accepted_access_requests", lambda: [item.username for item in api.list_accepted_access_requests(repo)]),
        ("cancel_access_request", lambda: api.cancel_access_request(repo, other)),
        ("list_pending_access_requests", lambda: [item.username for item in api.list_pending_access_requests(repo)]),
        ("reject_access_request", lambda: api.reject_access_request(repo, other, rejection_reason="not today")),
        ("list_rejected_access_requests", lambda: [item.username for item in api.list_rejected_access_requests(repo)]),
        ("accept_access_request", lambda: api.accept_access_request(repo, other)),
        ("super_squash_history", lambda: api.super_squash_history(repo)),
        ("list_lfs_files", lambda: sorted(item.filename for item in api.list_lfs_files(repo))),
        ("duplicate_repo", lambda: str(api.duplicate_repo(repo, f"{me}/calls-copy"))),
        ("move_repo", lambda: api.move_repo(repo, f"{me}/calls-moved")),
        ("walk", lambda: sorted(fs.find(f"{me}/calls-moved"))),
        ("mv", lambda: (fs.mv(f"{me}/calls-moved/pre.bin", f"{me}/calls-moved/post.bin"), fs.du(f"{me}/calls-moved"))[1] > 300_000),
        ("delete_repo", lambda: [api.delete_repo(f"{me}/calls-moved"), api.delete_repo(data, repo_type="dataset"), api.delete_repo(space, repo_type="space")]),
        # what is not built says so through the library, too
        ("get_space_runtime", lambda: api.get_space_runtime(space)),
        ("list_papers", lambda: list(api.list_papers(query="x"))),
        ("list_daily_papers", lambda: list(api.list_daily_papers())),
        ("paper_info", lambda: api.paper_info("2301.00001")),
        ("search_spaces", lambda: list(api.search_spaces("x"))),
        ("list_space_templates", lambda: api.list_space_templates()),
        ("get_zero_gpu_quota", lambda: api.get_zero_gpu_quota()),
        ("list_jobs", lambda: list(api.list_jobs())),
        ("get_dataset_leaderboard", lambda: api.get_dataset_leaderboard(data)),
        ("upload_attachment", lambda: (open("p.png", "wb").write(b"p"), api.upload_attachment("p.png"))),
    ]


def run(me, other, org):
    """[name, {"result"} or {"status", "error"} or nothing when the library has no such call]"""
    outcomes = []
    for name, call in calls(me, other, org):
        owner = huggingface_hub if hasattr(huggingface_hub, name) else fs_names if name in fs_names else api
        if owner is api and not hasattr(api, name):
            outcomes.append([name, {}])
            continue
        try:
            outcomes.append([name, {"result": call()}])
        except Exception as error:
            outcomes.append([name, {"status": status_of(error), "error": f"{type(error).__name__}: {error}"}])
    return outcomes


fs_names = ("walk", "mv")


def main():
    action = {"methods": methods, "run": run}[sys.argv[1]]
    print("\n" + json.dumps({"result": action(**json.load(sys.stdin))}, default=str))


main()

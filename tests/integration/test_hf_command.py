"""The `hf` command, as a README would show it."""
from samples import digests, digests_of


def test_login_create_upload_download(hub, user, client, sample):
    directory, files = sample
    writer = client(None)
    assert "logged in" not in writer.command("hf", "auth", "whoami", status=1).lower()
    writer.command("hf", "auth", "login", "--token", user.token)
    assert user.name in writer.command("hf", "auth", "whoami")
    repo = f"{user.name}/by-command"
    assert repo in writer.command("hf", "repos", "create", repo)
    output = writer.command("hf", "upload", repo, directory)
    assert f"{hub.url}/{repo}" in output
    got = client(user.read_token)
    got.command("hf", "download", repo, "--local-dir", got.home / "local")
    found = digests(got.home / "local")
    found.pop(".gitattributes")
    assert found == digests_of(files)


def test_one_file_each_way(user, client, tmp_path):
    repo = user.repo()
    (tmp_path / "notes.txt").write_text("notes\n")
    writer = client(user.token)
    writer.command("hf", "upload", repo, tmp_path / "notes.txt", "docs/notes.txt", "--commit-message", "add notes")
    reader = client(user.read_token)
    path = reader.command("hf", "download", repo, "docs/notes.txt", "--quiet").strip().splitlines()[-1]
    with open(path.removeprefix("path=")) as file:
        assert file.read() == "notes\n"
    assert writer.run("commits", repo=repo)[0]["title"] == "add notes"


def test_tags_and_deletion(user, client):
    repo = user.repo()
    writer = client(user.token)
    writer.command("hf", "repos", "tag", "create", repo, "v1")
    assert "v1" in writer.command("hf", "repos", "tag", "list", repo)
    writer.command("hf", "repos", "delete", repo, "--yes")
    assert not writer.run("repo_exists", repo=repo)

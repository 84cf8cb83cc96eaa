"""datasets and transformers on top of the hub library, as their users call them."""
import csv
import json

import pytest

ROWS = 1000


def run(client, action, **arguments):
    return client.run(action, driver="data_driver.py", **arguments)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_dataset_of_plain_files_loads(user, client, folder, kind):
    repo = user.repo("dataset")
    writer = client(user.token)
    directory = folder()
    rows = [{"number": i, "text": f"row {i}"} for i in range(ROWS)]
    if kind == "parquet":
        run(writer, "make_parquet", path=directory / "train.parquet", rows=ROWS)
    elif kind == "csv":
        with open(directory / "train.csv", "w", newline="") as file:
            table = csv.DictWriter(file, ["number", "text"])
            table.writeheader()
            table.writerows(rows)
    else:
        (directory / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    writer.run("upload_folder", repo=repo, folder=directory, repo_type="dataset")
    assert run(client(user.read_token), "load", repo=repo) == {
        "rows": ROWS, "columns": ["number", "text"], "first": rows[0], "last": rows[-1]}


def test_a_dataset_streams(user, client, folder):
    repo = user.repo("dataset")
    directory = folder()
    run(client(user.token), "make_parquet", path=directory / "train.parquet", rows=ROWS)
    client(user.token).run("upload_folder", repo=repo, folder=directory, repo_type="dataset")
    assert run(client(user.read_token), "stream", repo=repo) == [{"number": i, "text": f"row {i}"} for i in range(3)]


def test_a_dataset_is_pushed_from_memory_with_two_configurations(user, client):
    repo = user.repo("dataset")
    run(client(user.token), "push", repo=repo, rows=ROWS)
    got = run(client(user.read_token), "load", repo=repo)
    assert (got["rows"], got["last"]) == (ROWS, {"number": ROWS - 1, "text": f"row {ROWS - 1}"})
    files = client(user.token).run("files", repo=repo, repo_type="dataset")
    assert {"README.md", "data/train-00000-of-00001.parquet", "second/test-00000-of-00001.parquet"} <= set(files)


def test_a_model_is_pushed_and_loaded_by_its_name(user, client):
    repo = user.repo()
    run(client(user.token), "push_model", repo=repo)
    assert run(client(user.read_token), "load_model", repo=repo) == {"config": "BertConfig", "hidden_size": 24, "ids": [2, 3, 4, 5, 0]}


def test_a_model_is_loaded_at_the_revision_asked_for(user, client):
    repo = user.repo()
    run(client(user.token), "push_model", repo=repo)
    client(user.token).run("create_tag", repo=repo, tag="first")
    client(user.token).run("upload_text", repo=repo, text='{"model_type": "bert", "hidden_size": 48}', path_in_repo="config.json")
    assert run(client(user.read_token), "load_model", repo=repo, revision="first")["hidden_size"] == 24
    assert run(client(user.read_token), "load_model", repo=repo)["hidden_size"] == 48


@pytest.mark.parametrize("sender", ["newest", "newest-without-xet"])
def test_weights_are_opened_by_their_name(user, client, folder, sender):
    repo = user.repo()
    writer = client(user.token, sender)
    directory = folder()
    run(writer, "make_safetensors", path=directory / "model.safetensors")
    writer.run("upload_folder", repo=repo, folder=directory)
    reader = client(user.read_token, sender)
    assert run(reader, "read_safetensors", repo=repo, filename="model.safetensors") == {"embed": [500, 64], "head": [64, 10]}
    assert reader.run("safetensors_metadata", repo=repo) == {"parameters": {"F32": 32000, "F16": 640}, "tensors": ["embed", "head"]}

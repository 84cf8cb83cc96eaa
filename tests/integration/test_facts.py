"""What a repository says of itself: made of its files by whatever way they came, shown as the public hub shows it."""
import json

import pytest

from clients import ClientError
from hub_process import cairn
from weights import gguf, safetensors

CARD = b"""---
license: apache-2.0
language:
- en
- de
library_name: transformers
pipeline_tag: text-generation
tags: [stones, rivers]
datasets: [ada/numbers]
base_model: ada/base
widget:
- text: Hello
model-index:
- name: stones
  results: []
---
# Stones
Read https://arxiv.org/abs/2106.01345 about granite.
"""
CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "quantization_config": {"quant_method": "awq"}, "hidden_size": 4096}
TOKENIZER = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "mask_token": "<mask>", "chat_template": "{{ messages }}", "added_tokens_decoder": {}}


def facts(client, action, **arguments):
    return client.run(action, driver="facts_driver.py", **arguments)


def push(hub, user, repo, files, revision="main"):
    answer = hub.commit(user.token, repo, files, revision=revision)
    assert answer.status == 200, answer
    return answer.json()["commitOid"]


def test_a_models_card_and_configuration_become_its_properties(hub, user, client):
    repo = user.repo()
    push(hub, user, repo, {"README.md": CARD, "config.json": json.dumps(CONFIG).encode(), "tokenizer_config.json": json.dumps(TOKENIZER).encode(),
                           "chat_template.jinja": b"{{ more }}"})
    info = facts(client(user.token), "info", repo=repo)
    assert info["card_data"]["license"] == "apache-2.0" and info["card_data"]["tags"] == ["stones", "rivers"]
    assert info["tags"] == ["transformers", "llama", "text-generation", "stones", "rivers", "model-index", "awq", "en", "de", "dataset:ada/numbers",
                            "arxiv:2106.01345", "base_model:ada/base", "base_model:quantized:ada/base", "license:apache-2.0", "region:us"]
    assert (info["pipeline_tag"], info["library_name"], info["mask_token"]) == ("text-generation", "transformers", "<mask>")
    assert info["config"] == {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "quantization_config": {"quant_method": "awq"},
                              "chat_template_jinja": "{{ more }}", "tokenizer_config": {
                                  "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>", "chat_template": "{{ messages }}"}}
    assert info["transformers_info"]["auto_model"] == "AutoModelForCausalLM" and info["transformers_info"]["processor"] == "AutoTokenizer"
    assert info["widget_data"] == [{"text": "Hello"}] and info["model_index"] == [{"name": "stones", "results": []}]
    expanded = facts(client(user.token), "info", repo=repo, expand=["baseModels", "config", "likes", "usedStorage", "createdAt", "spaces", "trendingScore"])
    assert expanded["base_models"] == {"relation": "quantized", "models": [{"id": "ada/base"}]}
    assert expanded["used_storage"] > 0 and expanded["likes"] == 0 and expanded["spaces"] == [] and expanded["tags"] is None


def test_weights_are_counted_from_their_headers(hub, user, client):
    repo = user.repo()
    push(hub, user, repo, {"config.json": b"{}"})
    upload(hub, user, repo, {"model.safetensors": safetensors({"a": ("F32", [10, 20]), "b": ("BF16", [7])})})
    info = facts(client(user.token), "info", repo=repo, expand=["safetensors", "tags"])
    assert info["safetensors"] == {"parameters": {"F32": 200, "BF16": 7}, "total": 207}
    assert "safetensors" in info["tags"]
    assert facts(client(user.token), "safetensors", repo=repo)["parameters"] == {"F32": 200, "BF16": 7}


def upload(hub, user, repo, files):
    """Commits files as LFS objects."""
    import hashlib
    operations = []
    for path, data in files.items():
        oid = hashlib.sha256(data).hexdigest()
        action = hub.lfs_batch(user.token, repo, [(oid, len(data))]).json()["objects"][0].get("actions")
        if action:
            assert hub.request("PUT", action["upload"]["href"], data).status == 200
        operations.append(("lfsFile", {"path": path, "algo": "sha256", "oid": oid, "size": len(data)}))
    answer = hub.commit(user.token, repo, operations)
    assert answer.status == 200, answer


def test_shards_add_up_by_their_index_and_only_when_all_are_there(hub, user, client):
    repo = user.repo()
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}
    push(hub, user, repo, {"model.safetensors.index.json": json.dumps(index).encode()})
    upload(hub, user, repo, {"model-1.safetensors": safetensors({"a": ("F16", [100]), "c": ("F16", [5])})})
    assert facts(client(user.token), "info", repo=repo, expand=["safetensors"])["safetensors"] is None
    upload(hub, user, repo, {"model-2.safetensors": safetensors({"b": ("F16", [3, 3])})})
    assert facts(client(user.token), "info", repo=repo, expand=["safetensors"])["safetensors"] == {"parameters": {"F16": 114}, "total": 114}
    upload(hub, user, repo, {"model-2.safetensors": b"no header at all"})
    assert facts(client(user.token), "info", repo=repo, expand=["safetensors"])["safetensors"] is None


def test_the_headers_of_all_shards_come_in_one_answer(hub, user, client):
    repo = user.repo()
    index = {"metadata": {"total_size": 228}, "weight_map": {"a": "model-1.safetensors", "b": "sub/model \"2\".safetensors", "c": "model-1.safetensors"}}
    path = f"/api/models/{repo}/safetensors-metadata/model.safetensors.index.json"
    assert hub.request("GET", path).code == "EntryNotFound"
    push(hub, user, repo, {"model.safetensors.index.json": json.dumps(index).encode(), "nested/model.safetensors.index.json": json.dumps(index).encode(),
                           "other.json": b"{}", "text.json": b"no json", "up.json": b'{"weight_map":{"a":"../../x"}}'})
    answer = hub.request("GET", path)
    assert (answer.status, answer.code) == (404, "EntryNotFound") and "model-1.safetensors" in answer.json()["error"]
    shards = {"model-1.safetensors": safetensors({"a": ("F16", [100]), "c": ("F16", [5])}), "sub/model \"2\".safetensors": safetensors({"b": ("F16", [3, 3])})}
    upload(hub, user, repo, {**shards, **{f"nested/{name}": data for name, data in shards.items()}})
    found = hub.request("GET", path).json()
    assert found["index"] == {"metadata": {"total_size": 228}} and found["headers"].keys() == shards.keys()
    assert found["headers"]["model-1.safetensors"]["c"] == {"dtype": "F16", "shape": [5], "data_offsets": [200, 210]}
    assert hub.request("GET", path.replace("/model.saf", "/nested/model.saf")).json() == found
    by_one = client(user.token).run("safetensors_metadata", repo=repo, sharded=True)
    assert by_one == client(user.token).run("safetensors_metadata", repo=repo) == {"parameters": {"F16": 114}, "tensors": ["a", "b", "c"]}
    for name in ("other.json", "text.json", "up.json"):
        assert hub.request("GET", path.replace("model.safetensors.index.json", name)).status == 400, name
    upload(hub, user, repo, {"model-1.safetensors": b"no header at all"})
    assert hub.request("GET", path).status == 400
    hub.request("PUT", f"/api/models/{repo}/settings", {"gated": "manual"}, token=user.token)
    assert hub.request("GET", path).code == "GatedRepo"


def test_a_gguf_header_is_read_whole_or_not_at_all(hub, user, client):
    repo = user.repo()
    model = gguf("llama", {"a": [64, 100], "b": [10]}, **{
        "llama.context_length": 8192, "tokenizer.ggml.tokens": [f"<{i}>" for i in range(5000)], "tokenizer.ggml.bos_token_id": 3,
        "tokenizer.ggml.eos_token_id": 4999, "tokenizer.chat_template": "{{ x }}"})
    upload(hub, user, repo, {"stones-q4.gguf": model, "mmproj.gguf": b"GGUF"})
    info = facts(client(user.token), "info", repo=repo, expand=["gguf", "tags"])
    assert info["gguf"] == {"total": 6410, "architecture": "llama", "context_length": 8192, "bos_token": "<3>", "eos_token": "<4999>",
                            "chat_template": "{{ x }}"}
    assert "gguf" in info["tags"]
    upload(hub, user, repo, {"stones-q4.gguf": model[:5000]})
    assert facts(client(user.token), "info", repo=repo, expand=["gguf"])["gguf"] is None


def test_facts_are_those_of_the_revision_that_was_asked_for(hub, user, client):
    repo = user.repo()
    first = push(hub, user, repo, {"README.md": b"---\nlicense: mit\n---\n"})
    push(hub, user, repo, {"README.md": b"---\nlicense: gpl-3.0\n---\n"})
    reader = client(user.token)
    assert facts(reader, "info", repo=repo)["card_data"] == {"license": "gpl-3.0"}
    assert facts(reader, "info", repo=repo, revision=first)["card_data"] == {"license": "mit"}
    assert reader.run("create_branch", repo=repo, branch="old", revision=first) is None
    push(hub, user, repo, {"config.json": b'{"model_type": "bert"}'}, revision="old")
    old = facts(reader, "info", repo=repo, revision="old")
    assert "bert" in old["tags"] and old["card_data"] == {"license": "mit"}
    hub.index_settled()
    assert "bert" not in facts(reader, "info", repo=repo)["tags"]
    assert facts(reader, "names", kind="models", author=user.name, filter="license:gpl-3.0") == [repo]
    assert facts(reader, "names", kind="models", author=user.name, filter="license:mit") == []


def test_a_data_set_shows_its_formats_and_a_space_what_it_uses(hub, user, client):
    data, space = user.repo("dataset"), user.repo("space", sdk="gradio")
    card = b"---\nlanguage: en\nlicense: mit\ntask_categories: [text-generation]\nsize_categories: [1K<n<10K]\n---\n# Numbers\n\nOne after\nanother.\n"
    add_to(hub, user, "datasets", data, {"README.md": card, "data/train.csv": b"a,b\n1,2\n"})
    info = facts(client(user.token), "info", repo=data, repo_type="dataset")
    assert info["tags"] == ["task_categories:text-generation", "language:en", "license:mit", "size_categories:1K<n<10K", "format:csv", "modality:text",
                            "library:datasets", "library:pandas", "library:mlcroissant", "library:polars", "region:us"]
    assert info["description"] == "# Numbers One after another."
    add_to(hub, user, "spaces", space, {"README.md": f"---\nsdk: static\nmodels: [{user.name}/used]\ndatasets: [{data}]\ntags: [demo]\n---\n".encode()})
    info = facts(client(user.token), "info", repo=space, repo_type="space")
    assert (info["sdk"], info["tags"]) == ("static", ["static", "demo", "region:us"])
    assert (info["models"], info["datasets"]) == ([f"{user.name}/used"], [data])


def add_to(hub, user, types, repo, files):
    import base64
    lines = [{"key": "header", "value": {"summary": "a commit"}}] + [
        {"key": "file", "value": {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}} for path, data in files.items()]
    answer = hub.request("POST", f"/api/{types}/{repo}/commit/main", "".join(json.dumps(line) + "\n" for line in lines).encode(), token=user.token,
                         headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 200, answer


def test_cards_go_up_and_come_back_through_the_library(hub, user, client):
    repo, data = user.repo(), user.repo("dataset")
    writer = client(user.token)
    facts(writer, "push_card", repo=repo, data={"license": "mit", "language": ["en"], "tags": ["stones"]}, text="# Stones\n")
    facts(writer, "push_card", repo=data, data={"license": "mit", "task_categories": ["text-generation"]}, text="# Numbers\n", repo_type="dataset")
    card = facts(writer, "load_card", repo=repo)
    assert card["data"] == {"license": "mit", "language": ["en"], "tags": ["stones"]} and card["text"].strip() == "# Stones"
    assert facts(writer, "load_card", repo=data, repo_type="dataset")["data"]["task_categories"] == ["text-generation"]
    assert "stones" in facts(writer, "info", repo=repo)["tags"]


def test_evaluation_results_are_read_from_their_folder(hub, user, client):
    repo = user.repo()
    push(hub, user, repo, {".eval_results/hle.yaml": b"- dataset: {id: cais/hle, task_id: default}\n  value: 20.9\n- dataset: {id: x}\n  value: 1\n",
                           ".eval_results/broken.yaml": b"- [\n"})
    results = facts(client(user.token), "info", repo=repo, expand=["evalResults"])["eval_results"]
    assert [(result["dataset_id"], result["task_id"], result["value"]) for result in results] == [("cais/hle", "default", 20.9)]


def test_models_of_a_base_and_spaces_of_a_model_are_told(hub, user, client):
    base, tuned, space = user.repo(), user.repo(), user.repo("space", sdk="static")
    push(hub, user, tuned, {"README.md": f"---\nbase_model: {base}\n---\n".encode()})
    add_to(hub, user, "spaces", space, {"README.md": f"---\nsdk: static\nmodels: [{base}]\n---\n".encode()})
    hub.index_settled()
    info = facts(client(user.token), "info", repo=base, expand=["childrenModelCount", "spaces"])
    assert (info["children_model_count"], info["spaces"]) == (1, [space])


@pytest.mark.parametrize("card", [b"---\n: : :\n---\n", b"---\n- a\n---\n", b"---\nlicense: [[[[]]]]\ntags: {a: 1}\nlanguage: 5\n---\n", b"\xff\xfe---\n", b"---\n"])
def test_a_card_that_makes_no_sense_harms_nothing(hub, user, card):
    repo = user.repo()
    push(hub, user, repo, {"README.md": card, "config.json": b"[1, 2", "adapter_config.json": b"null"})
    answer = hub.request("GET", f"/api/models/{repo}")
    assert answer.status == 200 and answer.json()["tags"][-1] == "region:us"
    hub.index_settled()
    assert repo in [item["id"] for item in hub.request("GET", f"/api/models?author={user.name}").json()]


def test_unknown_properties_are_refused_and_known_ones_alone_are_shown(hub, user, client):
    repo = user.repo()
    answer = hub.request("GET", f"/api/models/{repo}?expand=likes&expand=nonsense")
    assert answer.status == 400 and "nonsense" in answer.json()["error"]
    assert hub.request("GET", f"/api/models?expand=sdk").status == 400
    assert set(hub.request("GET", f"/api/models/{repo}?expand=likes,downloads").json()) == {"_id", "id", "likes", "downloads"}
    with pytest.raises(ClientError):
        facts(client(user.token), "info", repo=repo, expand=["nonsense"])


def test_pushes_of_git_count_like_any_other(hub, user, tmp_path):
    import subprocess
    repo = user.repo()
    url = f"http://{user.name}:{user.token}@127.0.0.1:{hub.port}/{repo}"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "credential.helper="]
    subprocess.run([*git, "clone", "-q", url, tmp_path / "clone"], check=True, timeout=60)
    (tmp_path / "clone" / "README.md").write_text("---\nlicense: bsd\ntags: [by-git]\n---\nGneiss came by git.\n")
    subprocess.run([*git, "-C", tmp_path / "clone", "add", "."], check=True, timeout=60)
    subprocess.run([*git, "-C", tmp_path / "clone", "commit", "-qm", "card"], check=True, timeout=60)
    subprocess.run([*git, "-C", tmp_path / "clone", "push", "-q"], check=True, timeout=60)
    hub.index_settled()
    assert [item["id"] for item in hub.request("GET", f"/api/models?filter=by-git&author={user.name}").json()] == [repo]
    assert [item["id"] for item in hub.request("GET", f"/api/models?search=gneiss&author={user.name}").json()] == [repo]
    assert hub.request("GET", f"/api/models/{repo}").json()["cardData"] == {"license": "bsd", "tags": ["by-git"]}


def test_a_commit_that_changes_no_file_of_interest_makes_no_facts_anew(hub, user):
    repo = user.repo()
    push(hub, user, repo, {"README.md": CARD})
    before = hub.index_settled()
    for i in range(5):
        push(hub, user, repo, {f"logs/{i}.txt": b"nothing to see"})
        after = hub.index_settled()
    assert after["facts_made"] == before["facts_made"] and after["indexed"] > before["indexed"]


def test_the_operator_sees_the_index(hub, user):
    hub.index_settled()
    index = json.loads(cairn(hub, "--json", "index", "status"))
    assert index["behind"] == 0 and index["documents"] > 0
    assert "behind" in cairn(hub, "index", "status")

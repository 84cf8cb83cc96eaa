"""Runs inside the newest environment: datasets, transformers and safetensors as their users call them."""
import json
import sys
import traceback


def load(repo, **more):
    """Rows of the train split."""
    from datasets import load_dataset
    found = load_dataset(repo, split="train", **more)
    return {"rows": len(found), "columns": sorted(found.column_names), "first": found[0], "last": found[len(found) - 1]}


def stream(repo):
    from datasets import load_dataset
    rows = iter(load_dataset(repo, split="train", streaming=True))
    return [next(rows) for _ in range(3)]


def push(repo, rows):
    from datasets import Dataset
    found = Dataset.from_dict({"number": list(range(rows)), "text": [f"row {i}" for i in range(rows)]})
    found.push_to_hub(repo)
    found.push_to_hub(repo, "second", split="test")


def make_parquet(path, rows):
    import pyarrow
    import pyarrow.parquet
    table = pyarrow.table({"number": list(range(rows)), "text": [f"row {i}" for i in range(rows)]})
    pyarrow.parquet.write_table(table, path)


def push_model(repo):
    """A model without weights: configuration and tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, PreTrainedTokenizerFast
    BertConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=6).push_to_hub(repo)
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "stones": 2, "mark": 3, "the": 4, "way": 5}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").push_to_hub(repo)


def load_model(repo, revision="main"):
    from transformers import AutoConfig, AutoTokenizer
    config = AutoConfig.from_pretrained(repo, revision=revision)
    tokenizer = AutoTokenizer.from_pretrained(repo, revision=revision)
    return {"config": type(config).__name__, "hidden_size": config.hidden_size, "ids": tokenizer("stones mark the way today")["input_ids"]}


def make_safetensors(path):
    import numpy
    from safetensors.numpy import save_file
    generator = numpy.random.default_rng(7)
    save_file({"embed": generator.standard_normal((500, 64), dtype=numpy.float32), "head": numpy.ones((64, 10), dtype=numpy.float16)}, path)


def read_safetensors(repo, filename):
    from huggingface_hub import hf_hub_download
    from safetensors import safe_open
    with safe_open(hf_hub_download(repo, filename), framework="np") as file:
        return {name: list(file.get_tensor(name).shape) for name in file.keys()}


def main():
    action = globals()[sys.argv[1]]
    arguments = json.load(sys.stdin)
    try:
        answer = {"result": action(**arguments)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": {"name": type(error).__name__, "message": str(error)}}
    print()
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()

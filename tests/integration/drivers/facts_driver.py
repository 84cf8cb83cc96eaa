"""Runs inside a client's environment: what the hub library finds out about repositories, and how it finds them."""
import hub_driver
from hub_driver import api


def plain(value):
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "__dict__") and not isinstance(value, (str, int, float, bool)):
        return plain(vars(value))
    return value


def info(repo, repo_type=None, **more):
    return plain(vars(api.repo_info(repo, repo_type=repo_type, **more)))


def found(kind, options):
    return getattr(api, f"list_{kind}")(**options)


def names(kind, **options):
    return [item.id for item in found(kind, options)]


def names_of_each(kind, calls):
    """Several lists in one run."""
    return [names(kind, **options) for options in calls]


def items(kind, **options):
    return [plain(vars(item)) for item in found(kind, options)]


def push_card(repo, data, text, repo_type="model"):
    from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData
    card, values = (ModelCard, ModelCardData) if repo_type == "model" else (DatasetCard, DatasetCardData)
    made = card(f"---\n{values(**data).to_yaml()}\n---\n{text}")
    made.validate = lambda *args, **more: None  # asks the public hub, which is out of reach
    made.push_to_hub(repo, repo_type=repo_type)


def load_card(repo, repo_type="model"):
    from huggingface_hub import DatasetCard, ModelCard
    card = (ModelCard if repo_type == "model" else DatasetCard).load(repo)
    return {"data": card.data.to_dict(), "text": card.text}


def like(repo, repo_type=None):
    api.like(repo, repo_type=repo_type)


def unlike(repo, repo_type=None):
    api.unlike(repo, repo_type=repo_type)


def liked(user=None):
    return plain(vars(api.list_liked_repos(user)))


def likers(repo, repo_type=None):
    return [user.username for user in api.list_repo_likers(repo, repo_type=repo_type)]


def overview(user):
    return plain(vars(api.get_user_overview(user)))


def follows(user):
    return {"followers": [u.username for u in api.list_user_followers(user)], "following": [u.username for u in api.list_user_following(user)]}


def tags(kind="model"):
    return getattr(api, f"get_{kind}_tags")()


def safetensors(repo):
    found = api.get_safetensors_metadata(repo)
    return {"parameters": found.parameter_count, "sharded": found.sharded}


if __name__ == "__main__":
    for name, value in list(globals().items()):
        if getattr(value, "__module__", None) == "__main__":
            setattr(hub_driver, name, value)
    hub_driver.main()

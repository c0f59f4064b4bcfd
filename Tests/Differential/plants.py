"""Differences put into our answers, to see that the test finds them."""

import copy


def once_in(count, change):
    """A plant that changes each `count`-th observation that it can change."""
    seen = [0]

    def plant(name, observation):
        changed = copy.deepcopy(observation)
        if not change(name, changed):
            return observation
        seen[0] += 1
        return changed if seen[0] % count == 0 else observation

    return plant


def answer(observation):
    return observation.get("answer") if isinstance(observation, dict) else None


def version_off(name, observation):
    kvs = (answer(observation) or {}).get("kvs")
    if kvs:
        kvs[-1]["version"] += 1
    return bool(kvs)


def more_forgotten(name, observation):
    more = (answer(observation) or {}).get("more")
    if more:
        answer(observation)["more"] = 0
    return bool(more)


def header_behind(name, observation):
    found = answer(observation)
    if name != "DeleteRange" or not found:
        return False
    found["header"]["revision"] -= 1
    return True


def inner_answer_lost(name, observation):
    responses = (answer(observation) or {}).get("responses")
    if responses:
        responses.pop()
    return bool(responses)


def previous_lost(name, observation):
    found = answer(observation)
    if name != "Put" or not found or not found["prev_kv"]:
        return False
    found["prev_kv"] = None
    return True


def error_reworded(name, observation):
    if "compacted" not in observation.get("text", ""):
        return False
    observation["text"] = observation["text"].replace("has been", "was")
    return True


def code_changed(name, observation):
    if observation.get("code") != "INVALID_ARGUMENT":
        return False
    observation["code"] = "FAILED_PRECONDITION"
    return True


def event_lost(name, observation):
    lists = [value for place, value in observation.items()
             if place.startswith("watch ") and len(value) > 2] if name == "WatchCollect" else []
    if lists:
        del lists[0][0]
    return bool(lists)


def lease_key_lost(name, observation):
    found = answer(observation)
    if name != "LeaseTimeToLive" or not found or not found["keys"]:
        return False
    found["keys"].pop()
    return True


# name -> (which observations it changes, the kind of operation that has to be on)
PLANTS = {
    "a version one too high": (once_in(20, version_off), "kv"),
    "`more` forgotten": (once_in(3, more_forgotten), "kv"),
    "a header's revision behind": (once_in(10, header_behind), "kv"),
    "an answer inside a transaction lost": (once_in(20, inner_answer_lost), "kv"),
    "prev_kv lost": (once_in(5, previous_lost), "kv"),
    "an error's text reworded": (once_in(2, error_reworded), "kv"),
    "an error's code changed": (once_in(5, code_changed), "bad"),
    "an event lost": (once_in(2, event_lost), "watch"),
    "a key of a lease lost": (once_in(2, lease_key_lost), "lease"),
}

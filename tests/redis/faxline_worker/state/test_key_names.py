"""The two lists of an account's key names, Lua's and Python's, are the same."""

import json
import re
from importlib.resources import files

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.state.scripts import declared

LUA = files("faxline_worker") / "state" / "lua"
OF_GROUPS = {"group_size", "group_rejected"}
"""A group's name with a word behind it; lib/groups.lua adds the words."""
EVERY_NAME = """
local all = { account_state = keys.account_state }
for name in string.gmatch(ARGV[1], '%S+') do all[name] = keys[name] end
return cjson.encode(all)
"""


def names_of(keys: RedisKeys) -> dict[str, str]:
    """Each name of `RedisKeys` with its key; what an id belongs behind without the id."""
    found = {name: getattr(keys, name) for name in vars(RedisKeys) if not name.startswith("_")}
    return {name: key("") if callable(key) else key for name, key in found.items() if name not in OF_GROUPS}


def test_scripts_name_the_keys_as_python_does(redis_client: redis.Redis) -> None:
    keys = RedisKeys("acme")
    listed = (LUA / "lib" / "keys.lua").read_text()
    names = " ".join(re.findall(r"(\w+) = '", listed))
    reply = redis_client.execute_command("EVAL", f"#!lua\n{listed}{EVERY_NAME}", 2, *declared(keys), names)  # type: ignore[no-untyped-call]
    named = json.loads(reply)
    assert named == {name: key for name, key in names_of(keys).items() if name != "prefix"}


def test_a_key_that_has_no_name_raises(redis_client: redis.Redis) -> None:
    text = "#!lua\n" + (LUA / "lib" / "keys.lua").read_text() + "return keys.redy"
    with pytest.raises(redis.ResponseError, match="attempt to concatenate"):
        redis_client.execute_command("EVAL", text, 2, *declared(RedisKeys("acme")))  # type: ignore[no-untyped-call]


def test_only_the_list_of_names_takes_keys_from_the_caller() -> None:
    lua = [*LUA.iterdir(), *(LUA / "lib").iterdir()]
    takers = {file.name for file in lua if file.name.endswith(".lua") and "KEYS[" in file.read_text()}
    assert takers == {"keys.lua", "wake.lua", "register_accounts.lua"}

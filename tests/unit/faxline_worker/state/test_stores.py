"""The stores of all accounts: what the first use of one costs the others."""

import threading
from unittest.mock import Mock

from faxline_worker.config.settings import read_settings
from faxline_worker.state.store import Store
from faxline_worker.state.stores import Stores


def test_the_first_use_of_an_account_holds_up_no_other() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def first_use(store: Store) -> None:
        if store.account == "slow":
            begun.set()
            assert may_end.wait(10)

    stores = Stores(Mock(), read_settings({"FAXLINE_ACCOUNTS": "slow,quick"}), first_use=first_use)
    slow = threading.Thread(target=lambda: stores["slow"])
    slow.start()
    try:
        assert begun.wait(10)
        quick = threading.Thread(target=lambda: stores["quick"], daemon=True)
        quick.start()
        quick.join(10)
        assert set(stores.made) == {"quick"}
    finally:
        may_end.set()
        slow.join()
    assert set(stores.made) == {"quick", "slow"}


def test_a_store_whose_settings_change_during_its_first_use_is_made_anew() -> None:
    old, new = (
        read_settings(
            {"FAXLINE_ACCOUNTS__A__TOKEN": "a-token-of-a", "FAXLINE_ACCOUNTS__A__CALLER_ID": number}
        )
        for number in ("+12025550123", "+12025550124")
    )
    used: list[Store] = []

    def first_use(store: Store) -> None:
        used.append(store)
        if len(used) == 1:
            stores.follow(new, ["a"])

    stores = Stores(Mock(), old, first_use=first_use)
    assert stores["a"] is used[-1]
    assert [store.caller_id for store in used] == ["+12025550123", "+12025550124"]

"""One account in a file: shared, damaged, locked, lost and found again."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from feedhandler.errors import UsageError
from feedhandler.transport import budget as module
from feedhandler.transport.budget import (
    BUSY_NS_MAX,
    CONNECTS,
    FALLBACK,
    RESET,
    RETRY_NS,
    Budget,
    budget_key,
)

NOW_NS = 5_000_000_000_000
SECOND_NS = 1_000_000_000
KEY = "127.0.0.1:8080/weight"


def budget(folder: Path, per_minute: int = 70, burst: int = 10) -> Budget:
    return Budget(folder / "budgets", KEY, per_minute, burst)


def spend_all(account: Budget, now_ns: int = NOW_NS) -> int:
    count = 0
    while account.take(1, now_ns) == 0:
        count += 1
    return count


def test_two_owners_of_a_key_spend_from_one_account(tmp_path: Path) -> None:
    first, second = budget(tmp_path), budget(tmp_path)
    assert first.take(6, NOW_NS) == 0
    assert second.take(6, NOW_NS) == 2 * SECOND_NS
    assert second.take(4, NOW_NS) == 0
    assert first.take(1, NOW_NS) == SECOND_NS
    assert (first.fallback_count, second.reset_count) == (0, 0)


def test_keys_do_not_touch_each_other(tmp_path: Path) -> None:
    keys = ["a:1/weight", "a:1/connects", "a:1_weight", "A:1/weight", "x" * 300]
    found = [Budget(tmp_path, key, 70, 10) for key in keys]
    assert [spend_all(account) for account in found] == [10] * 5


def test_key_names_the_host_and_its_port() -> None:
    assert budget_key("wss://Api.Venue.com/ws?x", CONNECTS) == (
        "api.venue.com:443/connects"
    )
    assert budget_key("http://127.0.0.1:5/a", CONNECTS) == "127.0.0.1:5/connects"
    for url in ("nothing", "file:///etc/passwd", "https://"):
        with pytest.raises(UsageError):
            budget_key(url, CONNECTS)


def test_directory_and_file_are_for_their_user_alone(tmp_path: Path) -> None:
    account = budget(tmp_path)
    account.take(1, NOW_NS)
    assert account.path.parent.stat().st_mode & 0o777 == 0o700
    assert account.path.stat().st_mode & 0o777 == 0o600


def test_penalty_holds_for_the_other_owner_too(tmp_path: Path) -> None:
    first, second = budget(tmp_path), budget(tmp_path)
    assert first.penalize(NOW_NS + 7 * SECOND_NS, NOW_NS)
    assert second.take(1, NOW_NS) == 7 * SECOND_NS
    assert second.take(1, NOW_NS + 7 * SECOND_NS) == 0


def test_report_of_the_host_holds_for_the_other_owner_too(tmp_path: Path) -> None:
    first, second = budget(tmp_path, 2_400, 400), budget(tmp_path, 2_400, 400)
    first.spent(1_400, NOW_NS)
    first.spent(-1, NOW_NS)
    assert second.take(1, NOW_NS) > 29 * SECOND_NS


@pytest.mark.parametrize("weight", [11, -1])
def test_weight_that_is_never_granted_is_an_error(tmp_path: Path, weight: int) -> None:
    with pytest.raises(UsageError):
        budget(tmp_path).take(weight, NOW_NS)


# --- A file that is not as it should be ---------------------------------------------


def flip(content: bytes) -> bytes:
    return content[:30] + bytes([content[30] ^ 1]) + content[31:]


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        lambda content: content[:20],
        lambda content: content + b"x",
        lambda content: b"\0" * len(content),
        lambda content: b"not an account at all",
        lambda content: b"x" * 100_000,
    ],
)
def test_damaged_account_counts_as_half_spent(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    account = budget(tmp_path)
    account.take(1, NOW_NS)
    account.path.write_bytes(damage(account.path.read_bytes()))
    assert spend_all(account) == 5
    assert account.reset_count == 1
    assert account.fallback_count == 0
    assert spend_all(budget(tmp_path)) == 0


def test_account_of_another_boot_counts_as_half_spent(tmp_path: Path) -> None:
    with mock.patch.object(module, "boot_id", return_value="another"):
        before = budget(tmp_path)
    before.penalize(NOW_NS + 60 * SECOND_NS, NOW_NS)
    after = budget(tmp_path)
    earlier_ns = 20 * SECOND_NS  # the clock of a new boot began again
    assert spend_all(after, earlier_ns) == 5
    assert after.reset_count == 1


def test_words_further_away_than_any_can_be_are_damage(tmp_path: Path) -> None:
    account = budget(tmp_path)
    account.take(1, 1_000 * NOW_NS)
    assert spend_all(account) == 5
    assert account.reset_count == 1


def test_empty_file_is_a_new_account(tmp_path: Path) -> None:
    account = budget(tmp_path)
    account.path.parent.mkdir()
    account.path.write_bytes(b"")
    assert spend_all(account) == 10
    assert account.reset_count == 0


def test_file_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    first, second = budget(tmp_path), budget(tmp_path)
    first.take(1, NOW_NS)
    first.path.unlink()
    first.path.parent.rmdir()
    assert first.take(6, NOW_NS) == 0
    assert second.take(6, NOW_NS) > 0


def test_accounts_that_expired_are_removed_with_the_next_new_one(
    tmp_path: Path,
) -> None:
    old, young = (Budget(tmp_path, key, 70, 10) for key in ("old", "young"))
    foreign = tmp_path / "notes.txt"
    foreign.write_text("")
    for account in (old, young):
        account.take(1, NOW_NS)
    for path in (old.path, foreign):
        os.utime(path, (1, 1))
    new = Budget(tmp_path, "new", 70, 10)
    new.take(1, NOW_NS)
    assert set(tmp_path.iterdir()) == {young.path, new.path, foreign}
    assert old.take(10, NOW_NS) == 0


def test_file_removed_while_it_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = budget(tmp_path)
    account.take(1, NOW_NS)
    real = module._lock

    def lock_late(fd: int) -> bool:
        account.path.unlink()
        monkeypatch.setattr(module, "_lock", real)
        return real(fd)

    monkeypatch.setattr(module, "_lock", lock_late)
    assert account.take(1, NOW_NS) == RETRY_NS
    assert account.take(1, NOW_NS + RETRY_NS) == 0
    assert account.fallback_count == 0


# --- A file that is out of reach ----------------------------------------------------


def lock(path: Path) -> int:
    """Hold the lock as another process would."""
    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_lock_that_is_held_means_a_short_wait_then_a_share(tmp_path: Path) -> None:
    account = budget(tmp_path, 280, 40)
    account.take(1, NOW_NS)
    fd = lock(account.path)
    assert account.take(1, NOW_NS) == RETRY_NS
    assert account.take(1, NOW_NS + BUSY_NS_MAX - 1) == RETRY_NS
    assert account.fallback_count == 0
    alone_ns = NOW_NS + BUSY_NS_MAX
    assert spend_all(account, alone_ns) == 5  # half of a quarter of the burst
    assert account.fallback_count == 6
    os.close(fd)
    # What was spent alone is paid: half of a share at first, and five more; the
    # first unit is not paid for by time yet.
    assert spend_all(account, alone_ns) == 29
    assert account.fallback_count == 6


def test_takes_without_the_file_and_resets_are_told_as_they_happen(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    account = Budget(tmp_path / "budgets", KEY, 70, 10, told.append)
    account.take(1, NOW_NS)
    account.path.write_bytes(b"damaged")
    account.take(1, NOW_NS)
    assert told == [RESET]
    fd = lock(account.path)
    account.take(1, NOW_NS)
    account.take(1, NOW_NS + BUSY_NS_MAX)
    os.close(fd)
    assert told == [RESET, FALLBACK]


def test_lock_that_is_free_again_in_time_needs_no_share(tmp_path: Path) -> None:
    account = budget(tmp_path)
    account.take(1, NOW_NS)
    fd = lock(account.path)
    assert account.take(1, NOW_NS) == RETRY_NS
    os.close(fd)
    assert account.take(1, NOW_NS + RETRY_NS) == 0
    fd = lock(account.path)
    assert account.take(1, NOW_NS + 10 * BUSY_NS_MAX) == RETRY_NS
    os.close(fd)
    assert account.fallback_count == 0


def test_penalty_at_a_held_lock_is_obeyed_and_carried_over(tmp_path: Path) -> None:
    account, other = budget(tmp_path), budget(tmp_path)
    account.take(1, NOW_NS)
    fd = lock(account.path)
    until_ns = NOW_NS + 30 * SECOND_NS
    assert not account.penalize(until_ns, NOW_NS)
    later_ns = NOW_NS + BUSY_NS_MAX
    assert account.take(1, later_ns) == until_ns - later_ns
    account.spent(280, later_ns)  # nobody may be told: it is only kept here
    os.close(fd)
    account.take(1, later_ns)
    assert other.take(1, later_ns) == until_ns - later_ns


def unusable_file(folder: Path) -> None:
    (folder / "budgets").write_text("")


def unusable_link(folder: Path) -> None:
    (folder / "victim").write_text("precious")
    budget(folder).path.parent.mkdir()
    budget(folder).path.symlink_to(folder / "victim")


def unusable_hard_link(folder: Path) -> None:
    (folder / "victim").write_text("precious")
    budget(folder).path.parent.mkdir()
    budget(folder).path.hardlink_to(folder / "victim")


def unusable_pipe(folder: Path) -> None:
    budget(folder).path.parent.mkdir()
    os.mkfifo(budget(folder).path)


def unusable_folder(folder: Path) -> None:
    budget(folder).path.mkdir(parents=True)


@pytest.mark.parametrize(
    "make",
    [
        unusable_file,
        unusable_link,
        unusable_hard_link,
        unusable_pipe,
        unusable_folder,
    ],
)
def test_path_that_is_no_file_of_ours_leaves_a_share(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    account = budget(tmp_path, 280, 40)
    assert spend_all(account) == 5
    assert account.fallback_count == 6
    assert not account.penalize(NOW_NS + SECOND_NS, NOW_NS)
    if (tmp_path / "victim").exists():
        assert (tmp_path / "victim").read_text() == "precious"


def test_directory_that_cannot_be_written_leaves_a_share(tmp_path: Path) -> None:
    (tmp_path / "budgets").mkdir(mode=0o500)
    if os.access(tmp_path / "budgets", os.W_OK):
        pytest.skip("root may write everywhere")
    account = budget(tmp_path, 280, 40)
    assert spend_all(account) == 5
    (tmp_path / "budgets").chmod(0o700)
    assert account.take(1, NOW_NS) == 0
    assert account.path.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_write_that_fails_grants_nothing_from_the_file(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = budget(tmp_path, 280, 40)
    account.take(1, NOW_NS)
    before = account.path.read_bytes()

    def fail(*arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.os, "pwrite", fail)
    assert spend_all(account) == 5
    assert account.path.read_bytes() == before


def test_weight_above_the_share_is_granted_alone_but_rarely(tmp_path: Path) -> None:
    unusable_file(tmp_path)
    account = budget(tmp_path, 280, 40)
    wait_ns = account.take(40, NOW_NS)
    assert wait_ns > 0
    assert account.take(40, NOW_NS + wait_ns) == 0
    # Sixty units a minute are its share beside the burst.
    assert account.take(40, NOW_NS + wait_ns) == 40 * SECOND_NS

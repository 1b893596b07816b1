"""Budgets that all processes of a host share: one small file for each, and no daemon.

A venue counts connects, messages and REST weight for each IP address, so every feed,
REST process, instance and test of a user spends from the same account:

    <directory>/api.venue.com_443_rest-1f0c2a9e     one account, 56 bytes

A file is opened, locked, read, written and closed for each take, in some tens of
microseconds, so a process may be killed at any instant: the kernel frees its lock, and
the account is written in one piece. The lock is never waited for. A process that was
stopped while it held the lock keeps others from the file, and so does a directory that
cannot be written; then each spends a share of its own, counts that, and pays it into
the file when it is there again. Who makes a file removes those that have expired. Not
thread-safe.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import stat
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feedhandler import log
from feedhandler.config import redact_url
from feedhandler.errors import UsageError
from feedhandler.folders import make_private
from feedhandler.transport.gcra import Account, Pace
from shm_layout.identity import boot_id, time_namespace

# What a host counts.
CONNECTS: Final = "connects"
MESSAGES: Final = "messages"
WEIGHT: Final = "weight"

# What is counted of an account.
FALLBACK: Final = "budget_fallbacks"  # a take that was decided without the file
RESET: Final = "budget_resets"  # an account that was damaged, or of another boot

RETRY_NS: Final = 5_000_000  # when to try again at a lock that is held
BUSY_NS_MAX: Final = 200_000_000  # held for longer: its holder does not run
LOCK_ATTEMPTS: Final = 20  # with a yield between; a holder needs microseconds
# Feed and REST process of two instances may have lost the file together.
SHARE: Final = 4
DEFAULT_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}

# Nothing in an account outlives an hour, so a file untouched for longer is worth none.
EXPIRED_S: Final = 86_400
SWEPT_MAX: Final = 1_000  # files looked at

Count = Callable[[str], None]

_MAGIC: Final = b"FHB1"
_RECORD: Final = struct.Struct("<4sI16sqqqq")  # magic, crc, origin, an account
_BODY_OFFSET: Final = 8
_NAME: Final = re.compile(r"[a-z0-9._-]+-[0-9a-f]{8}")
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def budget_key(url: str, kind: str) -> str:
    """Return the key of what the host behind an address counts: `host:port/kind`."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    if not parts.hostname or not port:
        raise UsageError(f"not an address with a host: url={redact_url(url)}")
    return f"{parts.hostname}:{port}/{kind}"


class Budget:
    """What one host counts of one kind, `per_minute` in any minute.

    `burst` of it may be spent at once; no single weight may be above that. `directory`
    is made when it is missing. `count` is told FALLBACK or RESET as they happen.
    """

    def __init__(
        self,
        directory: Path,
        key: str,
        per_minute: int,
        burst: int,
        count: Count | None = None,
    ) -> None:
        self.key = key
        self.pace = Pace(per_minute, burst)
        self.path = directory / _file_name(key)
        self._origin = _origin()

        # What is spent while the file is out of reach.
        share = max(2, per_minute // SHARE)
        self._own_pace = Pace(share, min(max(1, burst // SHARE), share - 1))
        self._own = Account()
        self._busy_since_ns: int | None = None
        self._is_away = False

        # What is counted, here and by who asked for it.
        self.fallback_count = 0
        self.reset_count = 0
        self._count = count or _ignore

    def take(self, weight: int, now_ns: int) -> int:
        """Spend `weight` and return 0, or spend nothing and return the wait in ns.

        A positive wait says when to ask again, not that it will be granted then.
        Never blocks. Raises `UsageError` for a weight that can never be granted.
        """
        if not 0 <= weight <= self.pace.burst:
            raise UsageError(
                f"never granted by this budget: weight={weight} "
                f"burst={self.pace.burst} key={self.key}"
            )
        wait_ns = self._change(
            lambda account: account.take(self.pace, weight, now_ns), now_ns
        )
        if wait_ns is not None:
            return wait_ns
        if not self._is_away:
            return RETRY_NS
        self.fallback_count += 1
        self._count(FALLBACK)
        return self._own.take(self._own_pace, weight, now_ns)

    def penalize(self, until_ns: int, now_ns: int) -> bool:
        """Let no process of the host spend anything before that time.

        False when the file was out of reach: this process obeys at once, and others
        when it is called again or this process spends something.
        """
        self._own.block(until_ns, now_ns)
        # `_pay_own` carries it over.
        return self._change(lambda account: 0, now_ns) is not None

    def spent(self, used: int, now_ns: int) -> None:
        """Take over what the host says was spent in its current window.

        Lost when the file is locked just now: the next answer tells it again.
        """
        if used < 0:
            return

        def report(account: Account) -> int:
            account.report(self.pace, used, now_ns)
            return 0

        if self._change(report, now_ns) is None and self._is_away:
            self._own.report(self._own_pace, used // SHARE, now_ns)

    # --- The file -------------------------------------------------------------------

    def _change(self, change: Callable[[Account], int], now_ns: int) -> int | None:
        """Let `change` work on the shared account; None when it is out of reach."""
        try:
            fd = self._open()
        except OSError as error:
            self._leave(f"{type(error).__name__}: {error}", now_ns)
            return None
        try:
            if not _lock(fd):
                self._note_busy(now_ns)
                return None
            if not _check_file(fd):
                return None  # removed just now: the next take makes a new one
            account = self._load(fd, now_ns)
            self._pay_own(account, now_ns)
            value = change(account)
            _store(fd, self._origin, account)
        except OSError as error:
            self._leave(f"{type(error).__name__}: {error}", now_ns)
            return None
        finally:
            os.close(fd)
        self._return(now_ns)
        return value

    def _open(self) -> int:
        try:
            return os.open(self.path, _FLAGS, 0o600)
        except FileNotFoundError:
            make_private(self.path.parent)
            return os.open(self.path, _FLAGS, 0o600)

    def _load(self, fd: int, now_ns: int) -> Account:
        content = os.pread(fd, _RECORD.size + 1, 0)
        if not content:  # made just now, or its maker was killed before it wrote
            _sweep(self.path.parent)
            return Account()
        account = Account()
        reason = "damaged"
        if len(content) == _RECORD.size:
            magic, crc, origin, *words = _RECORD.unpack(content)
            if magic == _MAGIC and crc == zlib.crc32(content[_BODY_OFFSET:]):
                account = Account(*words)
                if origin != self._origin:
                    reason = "another_boot"
                elif account.is_sane(now_ns):
                    return account
        self.reset_count += 1
        self._count(RESET)
        log.event("budget_reset", key=self.key, reason=reason, path=self.path)
        os.ftruncate(fd, _RECORD.size)
        # What was spent is unknown: half of what may be spent at once.
        return Account(arrival_ns=now_ns + self.pace.depth_ns // 2)

    # --- Without the file -----------------------------------------------------------

    def _note_busy(self, now_ns: int) -> None:
        if self._busy_since_ns is None:
            self._busy_since_ns = now_ns
        elif now_ns - self._busy_since_ns >= BUSY_NS_MAX:
            self._leave("locked by a process that does not run", now_ns)

    def _leave(self, reason: str, now_ns: int) -> None:
        if not self._is_away:
            self._is_away = True
            self._own.arrival_ns = now_ns + self._own_pace.depth_ns // 2
            log.event("budget_alone", key=self.key, reason=reason, path=self.path)

    def _pay_own(self, account: Account, now_ns: int) -> None:
        """Carry over what this process spent, and was told, without the file."""
        account.block(self._own.blocked_ns, now_ns)
        if self._is_away:
            weight = self._own.level(self._own_pace, now_ns)
            account.charge(self.pace, weight, now_ns)

    def _return(self, now_ns: int) -> None:
        self._busy_since_ns = None
        if self._is_away:
            self._is_away = False
            log.event("budget_shared", key=self.key, path=self.path)


def _ignore(name: str) -> None:
    """Nobody counts."""


def _file_name(key: str) -> str:
    """Return a name that says what it is and that no other key has."""
    digest = hashlib.blake2b(key.encode(), digest_size=4).hexdigest()
    return f"{re.sub('[^a-z0-9.-]', '_', key.lower())[:100]}-{digest}"


def _origin() -> bytes:
    """Return what says which monotonic clock our times are of."""
    text = f"{boot_id()} {time_namespace()}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _lock(fd: int) -> bool:
    """Lock the file if its holder lets go within microseconds."""
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.sched_yield()
        else:
            return True
    return False


def _check_file(fd: int) -> bool:
    """Raise `OSError` for what cannot be an account of ours; False if it is removed."""
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink > 1:
        raise OSError(f"not a plain file: mode={facts.st_mode:o}")
    if facts.st_uid != os.geteuid():
        raise OSError(f"of another user: uid={facts.st_uid}")
    return facts.st_nlink == 1


def _sweep(folder: Path) -> None:
    """Remove accounts that nobody has touched for a day, such as those of tests."""
    expired_s = time.time() - EXPIRED_S
    with os.scandir(folder) as entries:
        for entry in itertools.islice(entries, SWEPT_MAX):
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < expired_s:
                        os.unlink(entry.path)


def _store(fd: int, origin: bytes, account: Account) -> None:
    words = astuple(account)
    body = _RECORD.pack(_MAGIC, 0, origin, *words)[_BODY_OFFSET:]
    record = _RECORD.pack(_MAGIC, zlib.crc32(body), origin, *words)
    if os.pwrite(fd, record, 0) != _RECORD.size:
        raise OSError("the account was not written whole")

"""Passwords: what is kept of them, and how many are hashed at a time.

New hashes are argon2id (RFC 9106) with 19 MiB of memory and two passes. scrypt hashes (RFC 7914) of older accounts
files are understood.
"""

import asyncio
import hashlib
import hmac
import re
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from services.wall.front.http.errors import BusyError

MIN_PASSWORD_CHARACTERS: Final = 10
MAX_PASSWORD_BYTES: Final = 1024
"""A longer one is refused unhashed."""
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16)
_MAX_MEMORY_KIB: Final = 256 * 1024
_SCRYPT: Final = re.compile(r"scrypt\$(1[0-7])\$([1-8])\$([1-4])\$([\w-]{22}==)\$([\w-]{43}=|[\w-]{86}==)", re.ASCII)
_SCRYPT_MEMORY_BYTES: Final = 128 * 1024 * 1024
NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$H/tWSQhThNlIS28WWcgW2w$oPMnbZOi8dtn5WNgVAa55xM8JS48JLc43sygRtBSxOc"
"""Hashed for unknown names, so that they take as long as a wrong password and cannot be probed."""
T = TypeVar("T")


def check_hash(text: str) -> str:
    """``text``, where it is a password's hash that can be verified; raises ``ValueError``."""
    if _SCRYPT.fullmatch(text):
        return text
    try:
        parameters = extract_parameters(text)
    except InvalidHashError as error:
        raise ValueError("not a password's hash; pantau accounts add writes one") from error
    if parameters.type is not Type.ID or parameters.memory_cost > _MAX_MEMORY_KIB or parameters.time_cost > 16:
        raise ValueError("a password's hash is argon2id, with at most 256 MiB and 16 passes")
    return text


def hash_password(password: str) -> str:
    """What is kept of a password. Takes tens of milliseconds of CPU, as `password_matches` does."""
    return _HASHER.hash(password.encode("utf-8", "surrogatepass"))


def password_matches(password: str, kept: str) -> bool:
    """Whether ``kept`` is the hash of ``password``."""
    given = password.encode("utf-8", "surrogatepass")
    if scrypt := _SCRYPT.fullmatch(kept):
        log_n, r, p, salt, digest = scrypt.groups()
        made = hashlib.scrypt(
            given,
            salt=urlsafe_b64decode(salt),
            n=1 << int(log_n),
            r=int(r),
            p=int(p),
            maxmem=_SCRYPT_MEMORY_BYTES,
            dklen=len(urlsafe_b64decode(digest)),
        )
        return hmac.compare_digest(made, urlsafe_b64decode(digest))
    try:
        return _HASHER.verify(kept, given)
    except (VerificationError, InvalidHashError):
        return False


class HashingQueue:
    """Hashes in threads of its own, few at a time; one more than may wait is refused at once.

    A place is free when its thread has ended: a client that leaves meanwhile does not make room for another.
    """

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="passwords")
        self._places = threading.BoundedSemaphore(at_once + waiting)

    async def run(self, work: Callable[..., T], *arguments: str) -> T:
        """``work(*arguments)``, in a thread; raises `BusyError`."""
        if not self._places.acquire(blocking=False):
            raise BusyError("too many people sign in at this moment; try again", retry_after_seconds=1)
        future = self._threads.submit(work, *arguments)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Hashes no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

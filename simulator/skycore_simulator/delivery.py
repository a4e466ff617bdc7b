"""Send postbacks as Skycore does.

Each POST carries one notification. Only HTTP 200 within ten seconds counts as delivered; otherwise
the postback is sent again after retry_seconds, up to five times, and then given up.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp

from skycore_simulator.journal import Journal, Postback, now
from skycore_simulator.notifications import Notification, body_of
from skycore_simulator.settings import Settings

STATUS_OF_CODE = {
    "N101": "sent",
    "N201": "sent",
    "N102": "delivered",
    "N202": "delivered",
    "N103": "expired",
    "N013": "encoded",
}


class PostbackSender:
    """Sends notifications in the background, as many at once as the settings allow."""

    def __init__(self, journal: Journal) -> None:
        self.settings = Settings()
        self.pending = 0
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._running = 0
        self._random: random.Random = (
            random.SystemRandom()
        )  # independent of a seed that a test sets
        self._free = asyncio.Condition()

    async def stop(self) -> None:
        """Drop everything that is still to be sent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.pending = 0
        if self._session is not None:
            await self._session.close()
            self._session = None

    def send(self, notifications: Sequence[Notification], first_delay: float = 0.0) -> None:
        """Send these one after the other; a failed one does not delay the next."""
        ordered = list(notifications)
        if self.settings.shuffle:
            self._random.shuffle(ordered)
        self._start(self._in_order(ordered, first_delay))

    def post(
        self,
        body: bytes,
        content_type: str,
        *,
        code: str = "",
        tracking_id: str = "",
        after: float = 0.0,
    ) -> Postback:
        """Send any body, `after` seconds from now, with the usual retries."""
        postback = self._record(body, content_type, code, tracking_id)
        self._journal.changed(postback)
        self._start(self._deliver_after(after, postback))
        return postback

    async def _deliver_after(self, seconds: float, postback: Postback) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        await self._deliver(postback)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.pending += 1
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.pending = max(self.pending - 1, 0)
        if not task.cancelled() and (error := task.exception()):
            raise error

    async def _in_order(self, notifications: list[Notification], first_delay: float) -> None:
        if first_delay:
            await asyncio.sleep(first_delay)
        for notification in notifications:
            await asyncio.sleep(self.settings.postback_delay)
            body, content_type = body_of(notification, self.settings.postback_format)
            if self.settings.postback_form and self.settings.postback_format != "v2":
                body = urlencode({"xml": body.decode()}).encode()
                content_type = "application/x-www-form-urlencoded"
            content_type = self.settings.postback_content_type or content_type
            self._update_message(notification)
            facts = notification.facts
            tracking_id = facts.get("TRACKINGID") or facts.get("TRANSACTIONID") or ""
            postback = self._record(body, content_type, notification.code, tracking_id)
            postback.notification = notification
            copies = 2 if self._random.random() < self.settings.duplicate_rate else 1
            if copies == 2:
                self._start(self._deliver(postback))
            await self._deliver(postback, later=True)

    def _update_message(self, notification: Notification) -> None:
        message = notification.message
        if message is None:
            return
        message.codes.append(notification.code)
        word = (
            (notification.facts.get("STATUS") or "").removeprefix("Message ").removeprefix("Sent/")
        )
        if notification.shape != "ddm":
            message.status = (word or STATUS_OF_CODE.get(notification.code, "failed")).lower()
        self._journal.changed(message)

    def _record(self, body: bytes, content_type: str, code: str, tracking_id: str) -> Postback:
        postback = Postback(self._journal.next_id(), now(), code, tracking_id, body, content_type)
        self._journal.postbacks.append(postback)
        return postback

    async def _deliver(self, postback: Postback, later: bool = False, tries: int = 0) -> None:
        """Send until it is delivered or given up; with `later` retry in the background."""
        while not await self._attempt(postback):
            tries += 1
            if tries > self.settings.retries or not self.settings.postback_url:
                postback.gave_up = True
                self._journal.changed(postback)
                return
            if later:
                self._start(self._wait_and_deliver(postback, tries))
                return
            await asyncio.sleep(self.settings.retry_seconds)

    async def _wait_and_deliver(self, postback: Postback, tries: int) -> None:
        await asyncio.sleep(self.settings.retry_seconds)
        await self._deliver(postback, tries=tries)

    async def _attempt(self, postback: Postback) -> bool:
        url = self.settings.postback_url
        if not url:
            return False
        async with self._slot():
            attempt: dict[str, Any] = {"time": now(), "url": url, "status": None, "error": None}
            began = time.monotonic()
            try:
                attempt["status"] = await self._post(url, postback)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                attempt["error"] = type(error).__name__
            attempt["seconds"] = round(time.monotonic() - began, 3)
        postback.tries.append(attempt)
        delivered: bool = attempt["status"] == 200
        postback.delivered = postback.delivered or delivered
        self._journal.changed(postback)
        return delivered

    async def _post(self, url: str, postback: Postback) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Skycore-Simulator"},
            )
        timeout = aiohttp.ClientTimeout(total=self.settings.postback_timeout)
        headers = {"Content-Type": postback.content_type}
        async with self._session.post(
            url, data=postback.body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            await answer.read()
            return answer.status

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._free:
            await self._free.wait_for(lambda: self._running < self.settings.postback_concurrency)
            self._running += 1
        try:
            yield
        finally:
            async with self._free:
                self._running -= 1
                self._free.notify()

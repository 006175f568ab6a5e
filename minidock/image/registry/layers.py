"""The layers of one image: three downloads at a time, each unpacked while it arrives.

A layer has a thread that takes it in and one that downloads. The slot that it holds is free again when its last byte
is there; the lock on its file only when it is unpacked and filed. So a layer that holds a lock never waits for another
one, and two commands that want the same layers can't wait for each other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from minidock.errors import InvalidImage
from minidock.model.events import Progress

from ..manifest import Descriptor
from ..reference import is_digest
from ..store import ImageStore, Layer
from .client import Repository
from .download import Download, Partial, Stopped
from .together import Worker, run_all

AT_ONCE = 3
"""Docker's max-concurrent-downloads."""

Tell = Callable[[Progress], None]
Wanted = tuple[Descriptor, str]
"""A blob, and the diff id of the tar in it."""


class Fetching:
    """The state that the threads share."""

    def __init__(
        self, store: ImageStore, repository: Repository, tell: Tell, narrate: Callable[[Descriptor, float], None]
    ) -> None:
        """`narrate` is told of each layer that is there, with the seconds that it took; 0 for one that was."""
        self.store = store
        self.repository = repository
        self._tell_all = tell
        self._narrate = narrate
        self._telling = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)
        self._stopped = threading.Event()
        self._layers: dict[tuple[str, str], Layer] = {}
        self._errors: list[BaseException] = []

    def run(self, wanted: list[Wanted]) -> list[Layer]:
        """All layers, lowest first. Raises the first error, after all threads have ended."""
        unique = {(blob.digest, diff_id): (blob, diff_id) for blob, diff_id in wanted}
        missing = []
        for key, (blob, diff_id) in unique.items():
            if layer := self._present(blob, diff_id):
                self._layers[key] = layer
                self.tell(blob, "Already exists")
                self._narrate(blob, 0)
            else:
                missing.append((blob, diff_id))
                self.tell(blob, "Pulling fs layer")
        for blob, _ in missing[AT_ONCE:]:
            self.tell(blob, "Waiting")
        # Ctrl-C: what is half there stays, to be gone on with.
        run_all([Worker(self._guarded, *each) for each in missing], self.stop)
        if self._errors:
            raise self._errors[0]
        return [self._layers[blob.digest, diff_id] for blob, diff_id in wanted]

    def stop(self) -> None:
        self._stopped.set()
        self.repository.wire.stop()

    def tell(self, blob: Descriptor, status: str, current: int = 0, total: int = 0) -> None:
        with self._telling:
            self._tell_all(Progress(blob.digest.removeprefix("sha256:")[:12], status, current, total))

    def _present(self, blob: Descriptor, diff_id: str) -> Layer | None:
        """Blob and tree are both here."""
        if self.store.layer(diff_id) is None or not self.store.blob_path(blob.digest).exists():
            return None
        return Layer(diff_id, blob)

    # A layer's thread

    def _guarded(self, blob: Descriptor, diff_id: str) -> None:
        try:
            begun = time.perf_counter()
            layer = self._layer(blob, diff_id)
            self._layers[blob.digest, diff_id] = layer
            with self._telling:
                self._narrate(blob, time.perf_counter() - begun)
        except Stopped as error:
            if not self._errors:
                self._errors.append(error)
        except BaseException as error:  # noqa: BLE001  told by run()
            if not self._stopped.is_set():
                self._errors.insert(0, error)
            self.stop()

    def _layer(self, blob: Descriptor, diff_id: str) -> Layer:
        assert is_digest(blob.digest)
        while not self._slots.acquire(timeout=1):
            if self._stopped.is_set():
                raise Stopped
        slot = _Once(self._slots.release)
        try:
            path = self.store.partial / blob.digest.removeprefix("sha256:")
            partial = Partial(path, self._stopped, lambda: self.tell(blob, "Waiting"))
            try:
                layer = self._present(blob, diff_id) or self._download(blob, diff_id, partial, slot)
            finally:
                partial.close()
        finally:
            slot()
        self.tell(blob, "Pull complete")
        return layer

    def _download(self, blob: Descriptor, diff_id: str, partial: Partial, slot: Callable[[], None]) -> Layer:
        """What an earlier pull left may be damaged: then once more, from nothing."""

        def tell(what: str, at: int) -> None:
            self.tell(blob, what, at, blob.size)

        def arrived(whole: bool) -> None:
            slot()
            if whole:
                self.tell(blob, "Verifying Checksum")
                self.tell(blob, "Download complete")

        while True:
            download = Download(self.repository, blob, partial, self._stopped, tell)
            download.start(arrived)
            try:
                layer = self.store.add_layer(
                    download.read,
                    media_type=blob.media_type,
                    digest=blob.digest,
                    size=blob.size,
                    diff_id=diff_id,
                    kept=partial.path,
                    give_up=download.abandon,
                )
                download.join()
                return layer
            except InvalidImage:
                download.abandon()
                partial.empty()
                if not download.resumed:
                    raise
            except BaseException:
                download.abandon()
                raise


class _Once:
    """A release that may be called twice."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._lock:
            if self._done:
                return
            self._done = True
        self._act()

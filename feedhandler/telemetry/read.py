"""Telemetry read back: a stream of records in bounded memory, whatever happened to it.

    telemetry = Telemetry.of("DIR")            # a file, several, or a directory
    for record in telemetry: …                 # Start, Sample, Move, Totals, Stop
    telemetry.damaged, telemetry.is_cut        # what could not be used

Damaged lines are counted and skipped. Fields that are not known are ignored; records
that are not known are counted.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from feedhandler.telemetry.records import SCHEMA, Record, Sample

NAME: Final = "telemetry.jsonl"
LINE_BYTES_MAX: Final = 16 << 20

_SAMPLE_COLUMNS: Final = Sample.__struct_fields__[4:]
_BY_INSTRUMENT: Final = frozenset(
    _SAMPLE_COLUMNS[_SAMPLE_COLUMNS.index("instruments") :]
)
_KINDS: Final = frozenset(
    kind.__struct_config__.tag for kind in typing.get_args(Record)
)
_decode = msgspec.json.Decoder(Record).decode


class _Head(msgspec.Struct):
    kind: str
    schema: int


_decode_head = msgspec.json.Decoder(_Head).decode


class Telemetry:
    """Files of one run, the oldest first. Iterating reads them anew."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._forget()

    @classmethod
    def of(cls, *places: str | Path) -> Telemetry:
        """Return the telemetry of files, or of directories with their rotated files.

        Raises `FileNotFoundError` for a directory without any.
        """
        paths: list[Path] = []
        for place in map(Path, places):
            found = find_files(place) if place.is_dir() else [place]
            if not found:
                raise FileNotFoundError(f"no {NAME} in {place}")
            paths += found
        return cls(paths)

    def _forget(self) -> None:
        self.lines = 0
        self.damaged = 0  # lines that are no record: half written, or overwritten
        self.damaged_at: list[tuple[Path, int]] = []  # the first of them, by line
        self.unknown = 0  # records of a kind that a newer version writes
        self.newer = 0  # records of a newer schema
        self.is_cut = False  # the last line of the last file is not whole
        self.missing = 0  # samples between those that are there
        self._was_unknown = False  # the last line that was no record of ours

    def __iter__(self) -> Iterator[Record]:
        """Yield every record, in the order of the files."""
        self._forget()
        last = -1
        for number, path in enumerate(self.paths):
            is_last = number == len(self.paths) - 1
            for record in self._read(path, is_last):
                if isinstance(record, Sample):
                    if 0 <= last < record.number - 1:
                        self.missing += record.number - 1 - last
                    last = record.number
                yield record

    def samples(self) -> Iterator[Sample]:
        """Yield the samples alone."""
        for record in self:
            if isinstance(record, Sample):
                yield record

    def _read(self, path: Path, is_last: bool) -> Iterator[Record]:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX):
                number += 1
                is_whole = line.endswith(b"\n")
                if not line.strip():
                    continue
                self.lines += 1
                record = self._parse(line)
                if record is not None:
                    yield record
                elif is_last and not is_whole and len(line) < LINE_BYTES_MAX:
                    self.is_cut = True
                elif not self._was_unknown:
                    self._count_damage(path, number)
                while not is_whole and len(line) == LINE_BYTES_MAX:
                    line = file.readline(LINE_BYTES_MAX)  # the rest of a huge line
                    is_whole = line.endswith(b"\n")

    def _parse(self, line: bytes) -> Record | None:
        self._was_unknown = False
        try:
            record: Record = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._was_unknown = self._is_of_another_version(line)
            return None
        if isinstance(record, Sample) and not _is_square(record):
            return None
        self.newer += record.schema > SCHEMA
        return record

    def _is_of_another_version(self, line: bytes) -> bool:
        try:
            head = _decode_head(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if head.kind in _KINDS and head.schema <= SCHEMA:
            return False
        self.unknown += 1
        self.newer += head.schema > SCHEMA
        return True

    def _count_damage(self, path: Path, number: int) -> None:
        self.damaged += 1
        if len(self.damaged_at) < 16:
            self.damaged_at.append((path, number))


def find_files(directory: Path) -> list[Path]:
    """Return a directory's telemetry files, the oldest first."""
    numbered = []
    for path in directory.glob(f"{NAME}*"):
        suffix = path.name.removeprefix(NAME)
        if not suffix:
            numbered.append((0, path))
        elif suffix[1:].isdecimal() and suffix[0] == ".":
            numbered.append((int(suffix[1:]), path))
    return [path for _, path in sorted(numbered, reverse=True)]


def _is_square(sample: Sample) -> bool:
    """Say whether every column has an item for each venue or instrument."""
    for name in _SAMPLE_COLUMNS:
        rows = sample.instruments if name in _BY_INSTRUMENT else sample.venues
        if len(getattr(sample, name)) != len(rows):
            return False
    return True

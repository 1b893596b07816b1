"""The records that a writer publishes, each kind by its own method.

Owns the way from values to the bytes of a payload; `publish_quote`, which is called for
every frame, is the implementation's own and bound by `Writer`.
"""

from __future__ import annotations

from shm_layout import codes, schema
from shm_layout.core import TO_FUNDING, TO_LATEST, TO_RING, CoreWriter
from shm_layout.errors import SlotUnreadable
from shm_layout.reader import Reader

_PAYLOAD = slice(schema.RECORD_HEADER.size_bytes, schema.QUOTE.offsets["stamp"])
_NO_HEAD = (0,) * len(schema.RECORD_HEADER.fields)


class Publishing(Reader):
    """A reader of its own segment that also publishes records. Use `Writer`."""

    _writer: CoreWriter
    _instrument_indexes: dict[tuple[str, str], int]

    def publish_trade(
        self,
        index: int,
        flags: int,
        session: int,
        event_ns: int,
        recv_ns: int,
        venue_sequence: int,
        price: float,
        size: float,
        aggressor: int,
        trade_id: int,
    ) -> int | None:
        """Publish a trade in the ring; return its number there."""
        payload = schema.TRADE.struct.pack(
            *_NO_HEAD, price, size, trade_id, aggressor, 0
        )[_PAYLOAD]
        return self._writer.publish(
            codes.KIND_TRADE,
            TO_RING,
            index,
            flags,
            session,
            event_ns,
            recv_ns,
            venue_sequence,
            payload,
            0,
        )

    def publish_funding(
        self,
        index: int,
        flags: int,
        session: int,
        event_ns: int,
        recv_ns: int,
        rate_per_hour: float,
        interval_ns: int,
        next_funding_ns: int,
        mark_price: float,
        oracle_price: float,
        mid_price: float,
        open_interest: float,
        *,
        source: int = 0,
    ) -> int | None:
        """Publish funding and its prices in its latest slot and in the ring.

        `source` is SOURCE_STREAM or SOURCE_REST; 0 is the writer's own.
        """
        payload = schema.FUNDING.struct.pack(
            *_NO_HEAD,
            rate_per_hour,
            interval_ns,
            next_funding_ns,
            mark_price,
            oracle_price,
            mid_price,
            open_interest,
            0,
        )[_PAYLOAD]
        return self._writer.publish(
            codes.KIND_FUNDING,
            TO_FUNDING | TO_RING,
            index,
            flags,
            session,
            event_ns,
            recv_ns,
            0,
            payload,
            source,
        )

    def publish_status(
        self,
        index: int,
        *,
        session: int,
        event_ns: int,
        recv_ns: int,
        apply_ns: int,
        since_ns: int,
        confirmed_ns: int,
        applied_sequence: int,
        moves: int,
        applied_epoch: int,
        state: int,
        reason: int,
        previous: int,
        moved: bool,
    ) -> int | None:
        """Publish a verdict in latest, and in the ring too when the state moved."""
        payload = schema.STATUS.struct.pack(
            *_NO_HEAD,
            apply_ns,
            since_ns,
            confirmed_ns,
            applied_sequence,
            moves,
            applied_epoch,
            state,
            reason,
            previous,
            0,
        )[_PAYLOAD]
        where = TO_LATEST | TO_RING if moved else TO_LATEST
        return self._writer.publish(
            codes.KIND_STATUS,
            where,
            index,
            0,
            session,
            event_ns,
            recv_ns,
            0,
            payload,
            0,
        )

    def mark(self, index: int, flag: int) -> None:
        """Publish the latest quote once more with a flag added and its stamps kept."""
        try:
            record = self.read_slot(index)
        except SlotUnreadable:
            return  # readers cannot read it either, and the next publish heals it
        if record is None:
            return
        fields = schema.QUOTE.struct.unpack(record)
        quote = dict(
            zip((field.name for field in schema.QUOTE.fields), fields, strict=True)
        )
        self._writer.publish_quote(
            index,
            quote["flags"] | flag,
            quote["session"],
            quote["event_ns"],
            quote["recv_ns"],
            quote["venue_sequence"],
            quote["bid"],
            quote["bid_size"],
            quote["ask"],
            quote["ask_size"],
        )

    def mark_all(self, flag: int) -> None:
        """Mark every instrument's latest quote."""
        for index in self._instrument_indexes.values():
            self.mark(index, flag)

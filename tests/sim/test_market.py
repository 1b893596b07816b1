"""The market is a pure function of its seed, and it moves."""

from __future__ import annotations

import itertools

from feedhandler.sim.market import LEVELS, PROFILES, Market


def history(seed: int, count: int) -> list[tuple[object, ...]]:
    market = Market(seed)
    rows: list[tuple[object, ...]] = []
    for _ in range(count):
        event = market.step()
        asset = market.assets[event.asset]
        rows.append((event, asset.mid, asset.half_spread, asset.bids[0], asset.asks[0]))
    return rows


def test_same_seed_gives_the_same_events_and_states() -> None:
    assert history(7, 3000) == history(7, 3000)


def test_other_seed_gives_other_events() -> None:
    assert history(7, 50) != history(8, 50)


def test_contexts_do_not_disturb_the_book() -> None:
    plain, other = Market(7), Market(7)
    for _ in range(500):
        other.advance_contexts()
        assert plain.step() == other.step()


def test_an_asset_does_not_disturb_another() -> None:
    alone = Market(7, PROFILES[:1])
    expected = [alone.step() for _ in range(100)]
    together = Market(7)
    steps = (together.step() for _ in range(5000))
    found = [event for event in steps if event.asset == "BTC"]
    assert found[:100] == expected


def test_time_never_steps_back() -> None:
    market = Market(3)
    times_s = [market.step().at_s for _ in range(5000)]
    assert times_s == sorted(times_s)
    assert times_s[0] > 0


def test_market_shows_movement_quiet_spells_and_bursts() -> None:
    market = Market(7)
    times_s = []
    while market.next_at_s < 300:
        event = market.step()
        if event.asset == "BTC":
            times_s.append(event.at_s)
    per_s = len(times_s) / 300
    gaps_s = [after - before for before, after in itertools.pairwise(times_s)]
    busiest = max(
        sum(1 for at_s in times_s if start <= at_s < start + 1) for start in range(300)
    )
    assert 4 < per_s < 20
    assert max(gaps_s) > 1.0, "no quiet spell"
    assert busiest > 20, "no burst"


def test_first_seconds_are_lively() -> None:
    for seed in range(20):
        market = Market(seed)
        count = 0
        while market.next_at_s < 5:
            count += market.step().asset == "BTC"
        assert count >= 10, seed


def test_prices_stay_near_their_start_for_long() -> None:
    market = Market(11)
    for _ in range(200_000):
        market.step()
    for asset in market.assets.values():
        assert 0.9 < asset.mid / asset.profile.price < 1.1
        assert len(asset.bids) == len(asset.asks) == LEVELS
        assert all(rung.size > 0 for rung in (*asset.bids, *asset.asks))


def test_context_tells_plausible_numbers() -> None:
    market = Market(7)
    for _ in range(1000):
        market.step()
        market.advance_contexts()
    for asset in market.assets.values():
        context = asset.context()
        assert abs(context.oracle / asset.mid - 1) < 0.002
        assert abs(context.mark / asset.mid - 1) < 0.002
        assert abs(context.funding_per_hour) < 0.001
        assert context.open_interest > 0

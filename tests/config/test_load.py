"""What a configuration may be, where a value is from, how a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedhandler.config import Config, ConfigError, known_venues, load, load_effective

VENUES = ("hyperliquid", "lighter")


def write(folder: Path, text: str) -> str:
    path = folder / "feedhandler.toml"
    path.write_text(text)
    return str(path)


def problems(
    folder: Path, text: str, environment: dict[str, str] | None = None
) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), environment or {}, venues=VENUES)
    return caught.value.problems


def test_without_a_file_every_venue_runs_with_defaults() -> None:
    config = load(None, {}, venues=VENUES)
    assert config.enabled_venues() == VENUES
    assert config.supervisor == Config().supervisor


def test_file_names_only_what_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path, "[venue.lighter]\nstale_ms = 9000\n")
    config = load(path, {}, venues=VENUES)
    assert config.enabled_venues() == ("lighter",)
    assert config.venue["lighter"].stale_ms == 9000
    assert config.venue["lighter"].ack_ms == 5000


def test_disabled_venue_stays_configured(tmp_path: Path) -> None:
    text = "[venue.lighter]\nenabled = false\n[venue.hyperliquid]\n"
    config = load(write(tmp_path, text), {}, venues=VENUES)
    assert config.enabled_venues() == ("hyperliquid",)
    assert set(config.venue) == {"hyperliquid", "lighter"}


def test_venues_are_the_modules_without_an_underscore() -> None:
    assert "hyperliquid" in known_venues()
    assert not [name for name in known_venues() if name.startswith("_")]


# Each row: the file, and words that its one refusal must hold.
REFUSED = {
    "unknown key": (
        "[venue.lighter]\nstale_aftr = 1\n",
        ["feedhandler.toml:2", "stale_aftr", "did you mean 'stale_ms'"],
    ),
    "unknown section": ("[runer]\n", ["feedhandler.toml:1", "did you mean 'runner'"]),
    "unknown top key": ('instanc = "a"\n', [":1", "did you mean 'instance'"]),
    "unknown venue": ("[venue.lightr]\n", [":1", "did you mean 'lighter'"]),
    "path as venue": ('[venue."../x"]\n', ["unknown venue '../x'"]),
    "text for a number": (
        '[venue.lighter]\nstale_ms = "2"\n',
        [":2", "venue.lighter.stale_ms = '2'", "from 20 to 600000"],
    ),
    "negative": ("[runner]\npass_ms = -1\n", [":2", "from 1 to 1000"]),
    "too large": ("[runner]\npass_ms = 1000000000\n", ["from 1 to 1000"]),
    "float": ("[runner]\npass_ms = 1e9\n", ["from 1 to 1000"]),
    "not a number": ("[runner]\npass_ms = nan\n", ["from 1 to 1000"]),
    "boolean for a number": ("[runner]\npass_ms = true\n", ["from 1 to 1000"]),
    "number for a boolean": ("[venue.lighter]\nfast = 1\n", ["true or false"]),
    "wrong word": (
        '[venue.lighter]\nfeed_kind = "book"\n',
        ['"bbo" or "both" or "depth"'],
    ),
    "no instruments": ("[venue.lighter]\ninstruments = []\n", ["at least 1"]),
    "instrument twice": (
        '[venue.lighter]\ninstruments = ["A-PERP", "A-PERP"]\n',
        [":2", "A-PERP is listed twice"],
    ),
    "instrument with blanks": (
        '[venue.lighter]\ninstruments = ["A PERP"]\n',
        ["a name such as BTC-PERP"],
    ),
    "instrument not text": ("[venue.lighter]\ninstruments = [1]\n", ["a list of"]),
    "ring not a power of two": (
        "[shm]\nring_slots = 1000\n",
        [":2", "power of two, such as 512 or 1024"],
    ),
    "ring of nothing": ("[shm]\nring_slots = 0\n", ["from 8 to 16777216"]),
    "ring of 2^40": ("[shm]\nring_slots = 1099511627776\n", ["from 8 to 16777216"]),
    "instance as a path": ('instance = "../x"\n', [":1", "1 to 32 of a-z"]),
    "instance too long": (f'instance = "{"a" * 33}"\n', ["1 to 32 of a-z"]),
    "instance with NUL": ('instance = "a\\u0000"\n', ["1 to 32 of a-z"]),
    "instance with a leading dash": ('instance = "-a"\n', ["1 to 32 of a-z"]),
    "plain ws": (
        '[venue.lighter]\nws_url = "ws://example.org/ws"\n',
        [":2", "neither encrypted nor verified", "insecure = true"],
    ),
    "plain http": (
        '[venue.lighter]\nrest_url = "http://example.org"\n',
        [":2", "use https://"],
    ),
    "not an address": ('[venue.lighter]\nws_url = "example.org"\n', ["wss://host"]),
    "back-off upside down": (
        "[supervisor]\nbackoff_first_ms = 500\nbackoff_max_ms = 100\n",
        [":2", "not be above backoff_max_ms"],
    ),
    "key for a section": ("runner = 1\n", ["section [runner]"]),
    "key for the venues": ("venue = 1\n", ["sections such as"]),
    "key twice": ("[runner]\npass_ms = 1\npass_ms = 2\n", ["not valid TOML", "line 3"]),
    "section twice": ("[runner]\n[runner]\n", ["not valid TOML", "line 2"]),
    "not TOML": ("{}\n", ["not valid TOML"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_file_is_refused_with_place_value_and_range(
    name: str, tmp_path: Path
) -> None:
    text, words = REFUSED[name]
    found = problems(tmp_path, text)
    assert len(found) == 1, found
    for word in words:
        assert word in found[0]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = "[runner]\npass_ms = 0\nbudget = 0\n[shm]\ninstrumnts = 1\n"
    assert len(problems(tmp_path, text, {"FEEDHANDLER_X": "1"})) == 4


def test_credentials_in_a_refused_address_are_not_shown(tmp_path: Path) -> None:
    text = '[venue.lighter]\nws_url = "ws://me:canary@example.org/ws"\n'
    assert "canary" not in problems(tmp_path, text)[0]


@pytest.mark.parametrize(
    "line",
    [
        'ws_url = "ws://127.0.0.1:8080/ws"',
        'ws_url = "ws://localhost/ws"',
        'ws_url = "ws://[::1]:9/ws"',
        'ws_url = "wss://example.org/ws"',
        'rest_url = "http://127.0.0.9/info"',
        'insecure = true\nws_url = "ws://example.org/ws"',
    ],
)
def test_loopback_encrypted_or_named_insecure_address_is_taken(
    line: str, tmp_path: Path
) -> None:
    load(write(tmp_path, f"[venue.lighter]\n{line}\n"), {}, venues=VENUES)


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("FEEDHANDLER_LIGHTER_STALE_MS", "9000", "lighter", "stale_ms", 9000),
        ("FEEDHANDLER_LIGHTER_FRESH_MS", "0", "lighter", "fresh_ms", 0),
        (
            "FEEDHANDLER_LIGHTER_PING_INTERVAL_MS",
            "-1",
            "lighter",
            "ping_interval_ms",
            -1,
        ),
        ("FEEDHANDLER_LIGHTER_FAST", "off", "lighter", "fast", False),
        ("FEEDHANDLER_LIGHTER_FAST", "True", "lighter", "fast", True),
        ("FEEDHANDLER_LIGHTER_WS_URL", "ws://127.0.0.1/", "lighter", "ws_url", None),
        (
            "FEEDHANDLER_LIGHTER_INSTRUMENTS",
            "A-PERP, B-PERP",
            "lighter",
            "instruments",
            ("A-PERP", "B-PERP"),
        ),
    ],
)
def test_environment_overrides_the_file(
    variable: str, text: str, section: str, key: str, value: object, tmp_path: Path
) -> None:
    path = write(tmp_path, "[venue.lighter]\nstale_ms = 1000\n")
    config = load(path, {variable: text}, venues=VENUES)
    assert getattr(config.venue[section], key) == (text if value is None else value)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("FEEDHANDLER_RUNNER_PASSMS", "1", "did you mean FEEDHANDLER_RUNNER_PASS_MS"),
        ("FEEDHANDLER_HYPERLIQID_FAST", "1", "FEEDHANDLER_HYPERLIQUID_FAST"),
        ("FEEDHANDLER_RUNNER_PASS_MS", "1_0", "from 1 to 1000"),
        ("FEEDHANDLER_RUNNER_PASS_MS", "１", "from 1 to 1000"),
        ("FEEDHANDLER_RUNNER_PASS_MS", "", "from 1 to 1000"),
        ("FEEDHANDLER_RUNNER_PASS_MS", "0", "variable FEEDHANDLER_RUNNER_PASS_MS"),
        ("FEEDHANDLER_HYPERLIQUID_FAST", "maybe", "true or false"),
        ("FEEDHANDLER_HYPERLIQUID_INSTRUMENTS", " , ", "at least 1"),
    ],
)
def test_wrong_variable_is_refused_by_name(
    variable: str, text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {variable: text}, venues=VENUES)
    (problem,) = caught.value.problems
    assert words in problem


def test_variables_that_are_no_keys_are_left_alone() -> None:
    environment = {"FEEDHANDLER_LOG": "json", "PATH": "x", "XFEEDHANDLER_A": "y"}
    assert load(None, environment, venues=VENUES).venue


def test_each_value_names_its_origin(tmp_path: Path) -> None:
    path = write(tmp_path, "[venue.lighter]\nstale_ms = 1000\nack_ms = 1000\n")
    environment = {"FEEDHANDLER_LIGHTER_ACK_MS": "2000"}
    origins = load_effective(path, environment, venues=VENUES).origins
    assert origins["venue.lighter.stale_ms"] == "file"
    assert origins["venue.lighter.ack_ms"] == "environment"
    assert origins["venue.lighter.read_timeout_ms"] == "default"
    assert origins["instance"] == "default"


def test_file_that_anybody_may_write_is_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path, 'instance = "a"\n')
    assert not load_effective(path, {}, venues=VENUES).warnings
    Path(path).chmod(0o666)
    (warning,) = load_effective(path, {}, venues=VENUES).warnings
    assert "chmod o-w" in warning


def test_state_directory_follows_the_environment() -> None:
    config = load(None, {}, venues=VENUES)
    state = config.state_path({"XDG_STATE_HOME": "/var/lib/x"})
    assert state == Path("/var/lib/x/feedhandler/default")
    chosen = load(None, {"FEEDHANDLER_STATE_DIR": "/srv/state"}, venues=VENUES)
    assert chosen.state_path({}) == Path("/srv/state/default")
    other = chosen.with_instance("other")
    assert other.state_path({}) == Path("/srv/state/other")

"""The environment: strict, every mistake at once, secrets never shown."""

from pathlib import Path

import pytest

from photochanger.errors import ConfigurationError
from photochanger.settings import Settings

SECRETS = {
    "DATABASE_URL": "postgresql://photo:canary-database@db/photochanger",
    "GEMINI_API_KEY": "canary-gemini-key",
    "INGEST_PASSWORD": "canary ingest пароль",
}


def mistakes(env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_env(env)
    assert str(raised.value) == "\n".join(raised.value.mistakes)
    return raised.value.mistakes


def test_an_empty_environment_is_enough() -> None:
    settings = Settings.from_env({})
    assert settings.home == Path("var").absolute()
    assert settings.media_root == settings.home / "media"
    assert (settings.host, settings.port, settings.database_url) == ("0.0.0.0", 8000, None)
    assert (settings.job_poll_seconds, settings.runner_concurrency, settings.result_ttl_hours) == (1.0, 16, 72)
    assert (settings.provider_key("gemini"), settings.provider_base_url("gemini")) == (None, None)
    assert (settings.ingest_password, settings.public_base_url) == (None, None)


def test_an_empty_value_is_an_unset_one() -> None:
    names = ["PORT", "HOST", "DATABASE_URL", "MEDIA_ROOT", "GEMINI_API_KEY", "JOB_POLL_SECONDS", "PORT_FILE"]
    assert Settings.from_env(dict.fromkeys(names, "")) == Settings.from_env({})


def test_every_setting_is_read(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {
            **SECRETS,
            "PHOTOCHANGER_HOME": str(tmp_path / "home"),
            "MEDIA_ROOT": str(tmp_path / "media"),
            "HOST": "127.0.0.1",
            "PORT": "65535",
            "PUBLIC_MEDIA_BASE_URL": "https://photos.example.org/studio/",
            "GEMINI_BASE_URL": "http://127.0.0.1:9000/gemini",
            "JOB_POLL_SECONDS": "0.25",
            "RUNNER_CONCURRENCY": "256",
            "RESULT_TTL_HOURS": "1",
        }
    )
    assert (settings.home, settings.media_root) == (tmp_path / "home", tmp_path / "media")
    assert (settings.host, settings.port) == ("127.0.0.1", 65535)
    assert settings.public_base_url == "https://photos.example.org/studio"
    assert settings.provider_base_url("gemini") == "http://127.0.0.1:9000/gemini"
    assert (settings.job_poll_seconds, settings.runner_concurrency, settings.result_ttl_hours) == (0.25, 256, 1)
    assert settings.database_url == SECRETS["DATABASE_URL"]
    assert settings.provider_key("gemini") == SECRETS["GEMINI_API_KEY"]
    assert settings.ingest_password == SECRETS["INGEST_PASSWORD"]


def test_a_provider_without_settings_of_its_own_has_none() -> None:
    settings = Settings.from_env(
        {**SECRETS, "NOBODY_API_KEY": "of another program", "NOBODY_BASE_URL": "not an address"}
    )
    assert settings.provider_key("nobody") is None
    assert settings.provider_base_url("nobody") is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8123"),
        ("", "http://127.0.0.1:8123"),
        ("::", "http://[::1]:8123"),
        ("192.168.0.7", "http://192.168.0.7:8123"),
        ("fd00::7", "http://[fd00::7]:8123"),
    ],
)
def test_a_machine_finds_its_own_api(host: str, url: str) -> None:
    assert Settings.from_env({"HOST": host, "PORT": "8123"}).own_url == url


def test_the_home_stays_where_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({"PHOTOCHANGER_HOME": "studio", "MEDIA_ROOT": "~/photos"})
    monkeypatch.chdir("/")
    assert settings.home == tmp_path / "studio"
    assert settings.media_root == Path.home() / "photos"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("canary-from-file")
    found = mistakes(
        {
            "PORT": "70000",
            "JOB_POLL_SECONDS": "slow",
            "RUNNER_CONCURRENCY": "0",
            "RESULT_TTL_HOURS": "72.5",
            "DATABASE_URL": "mysql://db/photochanger",
            "PUBLIC_MEDIA_BASE_URL": "photos.example.org",
            "GEMINI_API_KEY": "canary-direct",
            "GEMINI_API_KEY_FILE": str(secret),
            "INGEST_PASSWORD_FILE": str(tmp_path / "missing"),
        }
    )
    assert sorted(mistake.split(":")[0] for mistake in found) == [
        "DATABASE_URL",
        "GEMINI_API_KEY",
        "INGEST_PASSWORD_FILE",
        "JOB_POLL_SECONDS",
        "PORT",
        "PUBLIC_MEDIA_BASE_URL",
        "RESULT_TTL_HOURS",
        "RUNNER_CONCURRENCY",
    ]
    assert "canary" not in "\n".join(found)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("PORT", ["1", "65535"], ["0", "65536", "-1", "8000.0", "8e3", "0x50", "٨", "9" * 5000, "8000 ", "true"]),
        ("RUNNER_CONCURRENCY", ["1", "256"], ["0", "257", "many"]),
        ("RESULT_TTL_HOURS", ["1", "8760"], ["0", "8761", "-1"]),
        ("JOB_POLL_SECONDS", ["0.1", "2", "2.0", "1e0"], ["0.09", "2.01", "nan", "inf", "-1", "0,5", "1s"]),
    ],
)
def test_numbers_have_their_ranges(name: str, good: list[str], bad: list[str]) -> None:
    for text in good:
        Settings.from_env({name: text})
    for text in bad:
        (mistake,) = mistakes({name: text})
        assert mistake.startswith(f"{name}: "), text
        assert len(mistake) < 200


@pytest.mark.parametrize(
    "url",
    [
        "example.org",
        "ftp://example.org",
        "https://",
        "https:///path",
        "https://user:canary@example.org",
        "https://example.org/?x=1",
        "https://example.org/#top",
        "https://[broken",
        "https://example.org:port",
        "https://example.org:99999",
    ],
)
def test_a_base_url_is_an_address_and_nothing_else(url: str) -> None:
    (mistake,) = mistakes({"GEMINI_BASE_URL": url})
    assert mistake.startswith("GEMINI_BASE_URL: ")
    assert "canary" not in mistake


@pytest.mark.parametrize("url", ["sqlite:///x", "photochanger", "http://db/photochanger", "postgresql+psycopg://db/x"])
def test_a_database_is_a_postgresql(url: str) -> None:
    assert mistakes({"DATABASE_URL": url}) == ["DATABASE_URL: must look like postgresql://user:password@host/database"]


@pytest.mark.parametrize("url", ["postgres://db/x", "postgresql:///x?host=/run/postgresql", "postgresql://u:p@[::1]/x"])
def test_a_database_may_be_anywhere(url: str) -> None:
    assert Settings.from_env({"DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize("text", ["key\nX-Evil: 1", "key\rmore", "key\tmore", "key\0"])
def test_a_key_is_one_line(text: str) -> None:
    (mistake,) = mistakes({"GEMINI_API_KEY": text})
    assert mistake.startswith("GEMINI_API_KEY: ")
    assert "more" not in mistake


def test_a_file_holds_what_is_too_secret_for_the_environment(tmp_path: Path) -> None:
    env = {}
    for name, value in {**SECRETS, "PORT": "8443"}.items():
        path = tmp_path / name
        path.write_text(f"{value}\n", encoding="utf-8")
        env[f"{name}_FILE"] = str(path)
    assert Settings.from_env(env) == Settings.from_env({**SECRETS, "PORT": "8443"})


def test_a_value_in_a_file_obeys_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("99999\n")
    (mistake,) = mistakes({"PORT_FILE": str(path)})
    assert mistake.startswith("PORT: ")


@pytest.mark.parametrize("kind", ["missing", "a folder", "not a text"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "secret"
    match kind:
        case "a folder":
            path.mkdir()
        case "not a text":
            path.write_bytes(b"\xff\xfe\x00canary")
    (mistake,) = mistakes({"GEMINI_API_KEY_FILE": str(path)})
    assert mistake.startswith(f"GEMINI_API_KEY_FILE: {path} cannot be read (")
    assert "canary" not in mistake


def test_secrets_do_not_show() -> None:
    settings = Settings.from_env(SECRETS)
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)
    assert "canary" not in f"{settings!r:.500}"


def test_who_may_observe_is_this_machine_until_networks_are_named() -> None:
    assert [str(network) for network in Settings.from_env({}).metrics_networks] == ["127.0.0.0/8", "::1/128"]
    named = Settings.from_env({"METRICS_NETWORKS": "10.1.0.0/16, fd00::/8 ,192.0.2.7"}).metrics_networks
    assert [str(network) for network in named] == ["10.1.0.0/16", "fd00::/8", "192.0.2.7/32"]
    assert Settings.from_env({"METRICS_NETWORKS": ","}).metrics_networks == ()


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("METRICS_NETWORKS", ["10.0.0.1/8", "studio", "10.0.0.0/33", "10.0.0.0/8;::1"]),
        ("METRICS_TOKEN", ["canary", "c" * 64, "canary of thirty-two characters\nmore"]),
        (
            "ALERT_WEBHOOK_URL",
            ["hooks.example.org/canary", "ftp://x/canary", "https://u:canary@x/", "https://x/\ncanary"],
        ),
        ("ALERT_LANGUAGE", ["de", "RU", "russian"]),
    ],
)
def test_settings_of_whoever_runs_it_are_strict(name: str, bad: list[str]) -> None:
    for text in bad:
        (mistake,) = mistakes({name: text})
        assert mistake.startswith(f"{name}: "), text
        assert "canary" not in mistake


def test_alerts_have_one_destination_and_all_of_it() -> None:
    bot, chat = {"ALERT_TELEGRAM_TOKEN": "1:canary-AAEhBOweik6ad6PsVkQ"}, {"ALERT_TELEGRAM_CHAT_ID": "@photo_studio"}
    webhook = {"ALERT_WEBHOOK_URL": "https://hooks.example.org/T0/B0/canary?x=canary"}
    for good in ({}, {**bot, **chat}, webhook):
        assert "canary" not in repr(Settings.from_env(good))
    for bad in (bot, chat, {**bot, **chat, **webhook}, {**bot, "ALERT_TELEGRAM_CHAT_ID": "the studio"}):
        assert all(mistake.startswith("ALERT_") and "canary" not in mistake for mistake in mistakes(bad))
    assert len(mistakes({"ALERT_TELEGRAM_TOKEN": "canary", **chat})) == 2

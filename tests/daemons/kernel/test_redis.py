"""Live state in a real Redis: it does what every kind does, takes only what is its own, and keeps nothing for ever."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from madang.kernel import live_redis
from madang.kernel.errors import SettingError
from madang.kernel.live import LiveSettings
from madang.kernel.live_redis import RedisLive, redis_live
from madang.kernel.settings import load
from madang.services import sections
from tests.support.live_behaviour import *  # noqa: F403  (the tests that the embedded one has to pass, too)
from tests.support.redis import RedisServer, free_port, redis_server

QUICKER = 20  # times as fast as it says: time cannot be made to pass in Redis
PASSWORD = "S3cret-of-Redis"


@pytest.fixture(params=["tcp", "unix"])
async def live(redis: RedisServer, request, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisLive]:
    monkeypatch.setattr(live_redis, "_milliseconds", lambda seconds: round(seconds * 1000 / QUICKER))
    redis.flush()
    state = redis_live(LiveSettings(url=redis.url if request.param == "tcp" else f"unix://{redis.socket}"))
    await state.start()
    yield state
    await state.stop()


@pytest.fixture
def elapse(live: RedisLive):
    return lambda seconds: asyncio.sleep(seconds / QUICKER)


async def test_two_sites_on_one_redis_see_nothing_of_each_other(redis: RedisServer):
    redis.flush()
    one, other = (redis_live(LiveSettings(url=redis.url, prefix=prefix)) for prefix in ("one:", "other:"))
    await one.start()
    await other.start()
    heard: list[bytes] = []

    async def hear(body: bytes) -> None:
        heard.append(body)

    other.on_message(hear)
    await one.put("key", 1, 60)
    await one.publish(b"message")
    await asyncio.sleep(0.2)
    assert (await other.get("key"), await other.get_many(""), await other.add("key", 60), heard) == (None, {}, True, [])
    await one.stop()
    await other.stop()


async def test_names_of_what_expired_do_not_stay(redis: RedisServer, monkeypatch: pytest.MonkeyPatch):
    redis.flush()
    state = redis_live(LiveSettings(url=redis.url))
    await state.start()
    await state.put_many({f"old:{number}": 1 for number in range(1100)}, 0.05)
    await state.put("new", 1, 60)
    await asyncio.sleep(0.1)
    monkeypatch.setattr(RedisLive, "CLEAN_SECONDS", 0.01)
    await asyncio.sleep(0.02)
    assert await state.get("new") == 1  # after which it cleans up
    async with asyncio.timeout(5):
        while (names := redis.ask("ZCARD", "madang:#names")) not in (":1\r\n", ":2\r\n"):
            await asyncio.sleep(0.02)
    assert names
    await state.stop()


async def test_a_thousand_heartbeats_never_keep_redis_for_long(redis: RedisServer):
    """On a quiet machine no step takes 5 ms; a busy one may stop Redis itself for a moment."""
    redis.flush()
    redis.ask("CONFIG", "SET", "slowlog-log-slower-than", "100000")
    redis.ask("SLOWLOG", "RESET")
    state = redis_live(LiveSettings(url=redis.url))
    await state.start()
    records = {f"vnc:session:{number:012}": {"at": "x" * 200, "number": number} for number in range(1000)}
    for _ in range(5):
        await state.put_many(records, 60)
        assert await state.get_many("vnc:session:") == records
    assert redis.ask("SLOWLOG", "LEN") == ":0\r\n"
    await state.stop()


async def test_a_password_comes_from_its_file_and_is_said_nowhere(tmp_path, caplog, capsys):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with redis_server(f"requirepass {PASSWORD}") as server:
        settings = LiveSettings(url=server.url, password_file=str(file))
        state = redis_live(settings)
        await state.start()
        assert await state.add("mark", 60)
        await state.stop()
        file.write_text("wrong-" + PASSWORD)
        refused = redis_live(settings)
        await refused.start()
        await refused.put("key", 1, 60)
        with pytest.raises(live_redis.LiveStateUnavailable) as caught:
            await refused.add("mark", 60)
        await refused.stop()
    said = capsys.readouterr()
    assert PASSWORD not in f"{caught.value.problem()}{caplog.text}{said.out}{said.err}{settings}"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself: certificate and key."""
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


async def test_over_tls_redis_has_to_show_the_certificate_that_is_expected(tmp_path: Path):
    (made, key), (another, _) = certificate(tmp_path, "redis"), certificate(tmp_path, "another")
    port = free_port()
    tls = (f"tls-port {port}", f"tls-cert-file {made}", f"tls-key-file {key}", "tls-auth-clients no")
    with redis_server(*tls):
        for expected, ca_file in ((True, made), (False, another), (False, "")):
            state = redis_live(LiveSettings(url=f"rediss://127.0.0.1:{port}/0", ca_file=str(ca_file)))
            await state.start()
            await state.put("key", "value", 60)
            assert (await state.get("key") == "value", state.reachable) == (expected, expected)
            await state.stop()


async def test_sentinels_and_redis_have_passwords_of_their_own(tmp_path: Path):
    (tmp_path / "redis").write_text("for-redis")
    (tmp_path / "sentinel").write_text("for-sentinels")
    with redis_server("requirepass for-redis") as server:
        sentinel = RedisServer(
            tmp_path,
            "sentinel",
            "requirepass for-sentinels",
            f"sentinel monitor madang 127.0.0.1 {server.port} 1",
            "sentinel auth-pass madang for-redis",
            sentinel=True,
        )
        try:
            sentinel.start()
            for given, expected in (("sentinel", True), ("redis", False)):
                settings = LiveSettings(
                    url=f"sentinel://{sentinel.address}/madang",
                    password_file=str(tmp_path / "redis"),
                    sentinel_password_file=str(tmp_path / given),
                )
                state = redis_live(settings)
                await state.start()
                await state.put("key", "value", 60)
                assert (await state.get("key") == "value") is expected
                await state.stop()
        finally:
            sentinel.kill()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:S3cret-of-Redis@127.0.0.1/0",
        "redis://user:S3cret-of-Redis@127.0.0.1:6379",
        "sentinel://:S3cret-of-Redis@127.0.0.1/madang",
        "http://S3cret-of-Redis",
        "127.0.0.1:6379",
    ],
)
def test_an_address_with_a_password_or_of_another_kind_is_refused_and_not_repeated(tmp_path, url: str):
    environ = {"HOME": str(tmp_path), "MADANG_LIVE_URL": url}
    with pytest.raises(SettingError) as caught:
        load(sections(), environ)
    assert "MADANG_LIVE_URL" in str(caught.value)
    assert PASSWORD not in f"{caught.value.problem()}"


@pytest.mark.parametrize(
    "url", ["redis://", "redis://host:port", "redis://host/name", "sentinel://one,two", "sentinel://one:x/name"]
)
def test_an_address_that_cannot_be_read_is_refused(url: str):
    with pytest.raises(SettingError):
        redis_live(LiveSettings(url=url))


def test_a_password_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match="no-such-file"):
        redis_live(LiveSettings(url="redis://localhost", password_file=str(tmp_path / "no-such-file")))

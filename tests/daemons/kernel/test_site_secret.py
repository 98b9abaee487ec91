"""Processes that start at once on a new state folder agree on one secret."""

from pathlib import Path

MAKER = """
import sys
from pathlib import Path
from madang.kernel.site_secret import site_secret
print("started", flush=True)
sys.stdin.readline()
print(site_secret(Path(sys.argv[1])).hex(), flush=True)
"""


async def test_processes_that_make_the_secret_at_once_agree_on_it(run, tmp_path: Path):
    makers = [await run(MAKER, tmp_path / "secret.key") for _ in range(4)]
    for maker in makers:
        assert await maker.line() == "started"
    for maker in makers:
        await maker.say("go")
    secrets = {await maker.line() for maker in makers}
    assert secrets == {(tmp_path / "secret.key").read_bytes().hex()}
    assert len(secrets.pop()) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


async def test_a_process_never_sees_half_a_secret(run, tmp_path: Path):
    """The file appears whole: a watcher that reads as fast as it can finds nothing or all."""
    watcher = await run(
        """
import sys
from pathlib import Path
file = Path(sys.argv[1])
print("started", flush=True)
while not file.exists():
    pass
print(len(file.read_bytes()), flush=True)
""",
        tmp_path / "secret.key",
    )
    assert await watcher.line() == "started"
    maker = await run(MAKER, tmp_path / "secret.key")
    assert await maker.line() == "started"
    await maker.say("go")
    assert await watcher.line() == "32"

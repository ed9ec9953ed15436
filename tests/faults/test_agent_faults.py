"""The whole agent under faults: what was told as kept is at the platform in the end, once, without a gap.

Every test asserts that its fault was hit.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

World = Any


def kill_the_agent(world: World, kills: int, seed: int) -> None:
    """kill -9 at random moments while 200 weighings a second come in."""
    moments = random.Random(seed)
    world.scale.go()
    for _ in range(kills):
        before = world.agent.count("record.kept")
        world.agent.start()
        world.agent.wait(lambda before=before: world.agent.count("record.kept") > before, 30, "records are kept again")
        time.sleep(moments.uniform(0.0, 0.8))
        assert world.agent.process.poll() is None
        world.agent.kill()
    world.agent.start()
    world.weigh_until(50)
    world.everything_arrives()
    assert world.agent.count("agent.started") == kills + 1


def test_kill_9_of_the_agent_at_random_moments(world: World) -> None:
    kill_the_agent(world, kills=10, seed=20261123)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_kill_9_of_the_agent_two_hundred_times(world: World) -> None:
    kill_the_agent(world, kills=200, seed=7)


def test_the_broker_is_killed_and_restarted_without_persistence_twenty_times(world: World) -> None:
    world.agent.start()
    world.scale.go()
    moments = random.Random(3)
    for _ in range(20):
        before = world.city.stats.distinct
        world.broker.kill()
        time.sleep(moments.uniform(0.0, 0.3))
        world.broker.start()
        world.agent.wait(lambda before=before: world.city.stats.distinct > before, 33, "records arrive again")
    assert world.broker.kills == 20
    world.everything_arrives()


def test_a_proxy_that_eats_a_third_of_the_pubacks(world: World) -> None:
    world.network.eat_pubacks(0.3)
    world.agent.start()
    world.weigh_until(1_500)
    world.everything_arrives()
    assert world.network.counters["eat_pubacks"] > 0


def test_a_connection_that_goes_half_open(world: World) -> None:
    world.agent.start()
    world.weigh_until(200)
    assert world.network.half_open() > 0
    world.weigh_until(300)
    world.scale.rest()
    world.network.normal()
    world.weigh_until(50)
    world.everything_arrives()


def test_a_network_that_is_away_and_comes_back(world: World) -> None:
    world.agent.start()
    world.weigh_until(100)
    assert world.network.block() > 0
    world.weigh_until(1_000)
    world.network.unblock()
    world.weigh_until(50)
    world.everything_arrives()


def test_a_city_that_is_silent_for_a_while(make_world: Callable[..., World]) -> None:
    world = make_world(silent=8.0)
    world.agent.start()
    world.weigh_until(400)
    world.everything_arrives(extra=8.0)
    assert world.city.stats.duplicates > 0, "nothing was sent again: the silence was not felt"


@pytest.mark.soak
def test_a_city_that_is_silent_for_a_minute(make_world: Callable[..., World]) -> None:
    world = make_world(silent=60.0)
    world.agent.start()
    world.weigh_until(4_000)
    world.everything_arrives(extra=60.0)
    assert world.city.stats.duplicates > 0


def test_a_slow_city(make_world: Callable[..., World]) -> None:
    world = make_world(slow_ms=250.0)
    world.agent.start()
    world.weigh_until(800)
    world.everything_arrives(extra=30.0)


def test_a_city_that_loses_its_subscription_over_a_broker_restart(world: World) -> None:
    world.agent.start()
    world.weigh_until(100)
    world.city.stop()
    world.broker.kill()  # without persistence: the session and its subscription are gone
    world.broker.start()
    world.weigh_until(300)  # published to nobody: PUBACK with "no matching subscribers" is not a delivery
    from hwsim.city import City

    world.city = City(world.broker.address, store=world.city_file).start()
    world.city.wait_connected()
    world.everything_arrives(extra=10.0)


def test_refused_records_go_to_quarantine_and_the_queue_goes_on(make_world: Callable[..., World]) -> None:
    world = make_world(reject=("sequence%50",))
    world.agent.start()
    world.weigh_until(500)
    world.everything_arrives()
    facts = world.agent.status()
    assert facts["rejected"] == world.agent.head() // 50 > 0
    assert facts["kept"] == facts["delivered"] + facts["rejected"]
    status = subprocess.run(
        [
            sys.executable,
            "-m",
            "edge_agent",
            "buffer",
            "status",
            "--config",
            str(world.agent.config),
            "--output",
            "json",
        ],
        capture_output=True,
        timeout=60,
        cwd=world.folder,
        check=False,
    )
    assert status.returncode == 1  # degraded: somebody has to look at the refused ones
    assert json.loads(status.stdout)["rejected"] == facts["rejected"]


def test_a_pty_closed_in_the_middle_of_a_frame_and_reopened_under_another_name(world: World) -> None:
    world.agent.start()
    world.weigh_until(50)
    world.scale.rest()
    allowed = set(world.scale.weighed)
    world.scale.write(b"ST,GS,+  0.000kg\r\nST,GS,+ 12.3")  # the rest never comes
    world.scale.unplug()
    world.agent.wait(lambda: '"state":"lost"' in world.agent._log.read_text(), 10, "the loss is noticed")
    world.scale.plug()
    before = world.agent.count("record.kept")
    world.scale.write(b"45kg\r\n")  # were this glued to what came before, it would be a weight
    world.scale.go()
    world.agent.wait(lambda: world.agent.count("record.kept") > before, 5, "readings again within five seconds")
    world.scale.rest()
    allowed |= set(world.scale.weighed)
    shown = subprocess.run(
        [sys.executable, "-m", "edge_agent", "records", "export", "--config", str(world.agent.config)],
        capture_output=True,
        timeout=60,
        cwd=world.folder,
        check=True,
    )
    weights = [json.loads(line)["data"].get("indication") for line in shown.stdout.splitlines()]
    assert {w for w in weights if w is not None} <= allowed


def test_sigterm_ends_it_within_five_seconds_and_keeps_what_was_observed(world: World) -> None:
    world.agent.start()
    world.weigh_until(200)
    start = time.monotonic()
    assert world.agent.terminate() == 0
    assert time.monotonic() - start < 5  # not a speed test: this is what the service manager is promised
    assert world.agent.count("agent.stopped") == 1
    assert sorted(world.agent.kept().values()) == list(range(1, world.agent.head() + 1))


def test_a_second_agent_on_the_same_store_is_refused(world: World) -> None:
    world.agent.start()
    second = subprocess.run(
        [sys.executable, "-m", "edge_agent", "run", "--config", str(world.agent.config)],
        capture_output=True,
        timeout=60,
        cwd=world.folder,
        check=False,
    )
    assert second.returncode == 75
    assert str(world.agent.process.pid) in second.stderr.decode()
    world.weigh_until(10)


def test_sigstop_of_the_broker_is_noticed_and_survived(world: World) -> None:
    world.agent.start()
    world.weigh_until(100)
    process = world.broker.process
    process.send_signal(signal.SIGSTOP)
    world.weigh_until(400)
    time.sleep(world.progress_timeout + 2)
    process.send_signal(signal.SIGCONT)
    world.everything_arrives(extra=10)

"""Instances: chosen, watched, ended and replaced, with containers that are real processes."""

import json
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from local_sagemaker.errors import ContainerFailed
from local_sagemaker.fleet import choose
from local_sagemaker.limits import Limits
from tests.local_sagemaker.stand import configuration, stand

LIMITS = replace(Limits(), ping_every_s=0.1, ping_s=2.0, stop_s=20.0, replacement_pause_s=0.1)
LIMIT_S = 30.0


@dataclass
class Busy:
    in_flight: int


def wait_until(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def described(image, *, environment=None, **variant):
    container = {"Image": "small", "Environment": environment or {}}
    return configuration({"small": image}, [{"ModelName": "m", "PrimaryContainer": container}], m=variant)


def fleet_of(running):
    return running.platform.endpoints["m"].fleets["AllTraffic"]


def pid_of(client):
    return json.loads(client.invoke_endpoint(EndpointName="m", Body=b"{}")["Body"].read())["pid"]


def sleep_there(client, seconds):
    return client.invoke_endpoint(EndpointName="m", Body=json.dumps({"do": "sleep", "seconds": seconds}).encode())


@pytest.mark.parametrize(("loads", "allowed"), [([3, 1, 2], {1}), ([2, 0, 0], {0}), ([5], {5})])
def test_least_outstanding_requests_chooses_among_the_least_busy(loads, allowed):
    """Ties are broken at random."""
    instances = [Busy(load) for load in loads]
    chosen = [choose(instances, "LEAST_OUTSTANDING_REQUESTS", random.Random(seed)) for seed in range(30)]
    assert {one.in_flight for one in chosen} == allowed
    least = [one for one in instances if one.in_flight in allowed]
    assert {id(one) for one in chosen} == {id(one) for one in least}


def test_random_routing_reaches_every_instance():
    """However busy they are."""
    instances = [Busy(9), Busy(0), Busy(4)]
    chosen = [choose(instances, "RANDOM", random.Random(seed)) for seed in range(60)]
    assert {one.in_flight for one in chosen} == {9, 0, 4}


@pytest.mark.parametrize("routing", ["RANDOM", "LEAST_OUTSTANDING_REQUESTS"])
def test_requests_reach_all_instances(tmp_path, small_image, routing):
    """Two instances share the requests."""
    extra = {"InitialInstanceCount": 2, "RoutingConfig": {"RoutingStrategy": routing}}
    with stand(described(small_image, **extra), tmp_path, limits=LIMITS) as running:
        client = running.client()
        assert len({pid_of(client) for _ in range(40)}) == 2


def test_instance_whose_container_is_killed_is_replaced(tmp_path, small_image):
    """SIGKILL: only what is in flight there is lost; the other instance answers on, a new one comes."""
    extra = {"InitialInstanceCount": 2}
    with stand(described(small_image, **extra), tmp_path, limits=LIMITS) as running:
        fleet, client = fleet_of(running), running.client()
        lost = fleet.instances[0]
        os.kill(lost.containers[0].pid, signal.SIGKILL)
        wait_until(lambda: lost.state == "Ended", "the lost instance ends")
        for _ in range(5):
            assert pid_of(client) != lost.containers[0].pid
        wait_until(lambda: len(fleet.in_service) == 2, "the replacement is in service")


def test_retired_instance_answers_what_it_has_begun(tmp_path, small_image):
    """SIGTERM by the platform: the request in flight is answered, new ones go elsewhere."""
    with stand(described(small_image, InitialInstanceCount=2), tmp_path, limits=LIMITS) as running:
        fleet, client = fleet_of(running), running.client()
        with ThreadPoolExecutor(2) as pool:
            begun = [pool.submit(sleep_there, client, 1.0) for _ in range(2)]
            wait_until(lambda: sum(one.in_flight for one in fleet.instances) == 2, "both requests are in flight")
            busy = next(one for one in fleet.instances if one.in_flight)
            retiring = threading.Thread(target=running.run, args=(fleet.retire(busy),))
            retiring.start()
            wait_until(lambda: busy.state == "Stopping", "it is being retired")
            assert pid_of(client) != busy.containers[0].pid
            assert [one.result()["ResponseMetadata"]["HTTPStatusCode"] for one in begun] == [200, 200]
            retiring.join()
        wait_until(lambda: len(fleet.in_service) == 2, "the replacement is in service")


def test_request_in_flight_in_a_container_that_dies_is_a_model_error(tmp_path, small_image):
    """Nobody can know what it has done: it is not sent again. With no instance left: 503."""
    slow_start = {"SLOW_START_S": "1.0"}
    with stand(described(small_image, environment=slow_start), tmp_path, limits=LIMITS) as running:
        client = running.client()
        with pytest.raises(client.exceptions.ModelError) as caught:
            client.invoke_endpoint(EndpointName="m", Body=b'{"do": "exit"}')
        assert caught.value.response["OriginalStatusCode"] == 0
        wait_until(lambda: not fleet_of(running).in_service, "it is out of service")
        with pytest.raises(client.exceptions.ServiceUnavailable):
            pid_of(client)
        wait_until(lambda: fleet_of(running).in_service, "the replacement is in service")
        assert pid_of(client)


def test_instance_whose_pings_fail_is_replaced(tmp_path, small_image):
    """After several failed pings in a row, though the process is alive."""
    sick = tmp_path / "sick"
    with stand(described(small_image, environment={"SICK": str(sick)}), tmp_path, limits=LIMITS) as running:
        first = fleet_of(running).instances[0]
        sick.touch()
        wait_until(lambda: first.state == "Ended", "the sick instance ends")
        sick.unlink()
        wait_until(lambda: fleet_of(running).in_service, "the replacement is in service")
        assert fleet_of(running).instances[0] is not first


def test_container_that_ignores_sigterm_is_killed(tmp_path, small_image):
    """SIGKILL after the platform's time."""
    limits = replace(LIMITS, stop_s=0.3)
    with stand(described(small_image, environment={"STUBBORN": "1"}), tmp_path, limits=limits) as running:
        container = fleet_of(running).instances[0].containers[0]
    assert not container.is_running


@pytest.mark.parametrize(
    ("image", "environment", "said"),
    [
        ({"Command": ["/nonexistent/program"]}, {}, "No such file"),
        ({"Command": ["sh", "-c", "echo out of luck; exit 7"]}, {}, "exit code 7(.|\n)*out of luck"),
        (None, {"SLOW_START_S": "60"}, "not ready after 1 s"),
    ],
)
def test_endpoint_whose_container_does_not_start_is_not_created(tmp_path, small_image, image, environment, said):
    """CreateEndpoint fails, the end of the log says why, and nothing is left running."""
    limits = replace(LIMITS, startup_s=1.0, stop_s=1.0)
    config = described(image or small_image, environment=environment)
    with pytest.raises(ContainerFailed, match=said), stand(config, tmp_path, limits=limits):
        pass

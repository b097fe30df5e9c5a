"""The registry as a scraper reads it."""

from prometheus_client.parser import text_string_to_metric_families

from absa_server.telemetry.prometheus import Metrics


def read(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_status():
    """A counter and a histogram in seconds."""
    metrics = Metrics()
    metrics.record_request("/invocations", 200, 0.03)
    metrics.record_request("/invocations", 400, 0.001)
    values = read(metrics)
    assert values["absa_requests_total", (("route", "/invocations"), ("status", "200"))] == 1
    assert values["absa_requests_total", (("route", "/invocations"), ("status", "400"))] == 1
    assert values["absa_request_seconds_bucket", (("le", "0.05"), ("route", "/invocations"))] == 2
    assert values["absa_request_seconds_bucket", (("le", "0.025"), ("route", "/invocations"))] == 1


def test_results_are_counted_by_polarity():
    """Texts, aspects by polarity, and records answered with an error."""
    metrics = Metrics()
    metrics.record_results(texts=2, errors=1, polarities={"positive": 2, "none": 1})
    values = read(metrics)
    assert values["absa_texts_total", (("model", "model"),)] == 2
    assert values["absa_record_errors_total", (("model", "model"),)] == 1
    assert values["absa_aspects_total", (("model", "model"), ("polarity", "positive"))] == 2


def test_watched_gauge_is_read_when_rendered():
    """A gauge tells the state at the time of the scrape."""
    metrics = Metrics()
    state = [1.0]
    metrics.watch("absa_thing", "A thing", lambda: state[0])
    assert read(metrics)["absa_thing", ()] == 1
    state[0] = 5.0
    assert read(metrics)["absa_thing", ()] == 5


def test_two_servers_in_one_process_do_not_share_numbers():
    """The registry belongs to its server; nothing is global."""
    first, second = Metrics(), Metrics()
    first.record_results(texts=1, errors=0, polarities={})
    assert ("absa_texts_total", (("model", "model"),)) not in read(second)

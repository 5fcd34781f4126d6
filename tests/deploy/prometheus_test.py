#!/usr/bin/python3
"""A real Prometheus takes the scrape configuration, scrapes a real qtipd that has done some work, and
answers every query of the Grafana dashboard with data. What only a GPU tells comes from a page of this
test, under the names that the daemon's sources give it.

usage: prometheus_test.py BINARIES
"""

import contextlib
import http.server
import json
import math
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from deploy_test import ROOT, Daemon, need, run

DASHBOARD = ROOT / "deploy/grafana/qtipd.json"
SCRAPE_CONFIG = ROOT / "deploy/prometheus/prometheus.yml"
# What Grafana would fill in.
VARIABLES = {"$__rate_interval": "30s", "$instance": ".*", "$device": ".*"}
DEADLINE_SECONDS = 60


def dashboard_queries():
    """Every (panel title, query) of the dashboard, its variables filled in."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            assert "$" not in query, f"{panel['title']}: a variable that this test does not know: {query}"
            yield panel["title"], query


def gpu_page():
    """What a daemon with a GPU would add to /metrics."""
    source = (ROOT / "server/metrics/prometheus_sink.cc").read_text()
    names = sorted(set(re.findall(r'"(qtipd_gpu_[a-z_]+)"', source)))
    assert len(names) == 5, names
    return "".join(f'{name}{{device="cuda:0"}} 42\n' for name in names)


@contextlib.contextmanager
def serve(text):
    """Serves `text` at every path; gives the address."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    """The distribution's Prometheus with the project's own scrape configuration, made quick."""

    def __init__(self, program, folder, *targets):
        self.url = f"http://127.0.0.1:{free_port()}"
        text = SCRAPE_CONFIG.read_text()
        for old, new in (('"127.0.0.1:9464"', ", ".join(f'"{target}"' for target in targets)), ("scrape_interval: 15s", "scrape_interval: 1s"),
                         ("scrape_timeout: 10s", "scrape_timeout: 1s")):
            assert old in text, f"{SCRAPE_CONFIG.name} no longer says {old}"
            text = text.replace(old, new)
        config = pathlib.Path(folder) / "prometheus.yml"
        config.write_text(text)
        self.log = open(pathlib.Path(folder) / "prometheus.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address={self.url[7:]}"], stdout=self.log, stderr=self.log, cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()

    def query(self, text):
        """The finite values that the query gives now; none while Prometheus is not up."""
        url = f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": text})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{text}: {error.read().decode()}") from error
        except OSError:
            if self.process.poll() is not None:
                self.log.seek(0)
                raise AssertionError(f"prometheus ended: {self.log.read()}") from None
            return []
        return [value for value in (float(series["value"][1]) for series in result) if math.isfinite(value)]

    def wait_for(self, queries):
        """Polls until every query has data; the ones that had none at the deadline are returned."""
        left = list(queries)
        end = time.monotonic() + DEADLINE_SECONDS
        while left and time.monotonic() < end:
            left = [(name, query) for name, query in left if not self.query(query)]
            time.sleep(0.2 if left else 0)
        return left


def work(daemon, name):
    daemon.qtipctl("quantize", "--name", name, "--bits", "2", "--random", "256x256")
    daemon.qtipctl("bench", "--artifact", name, "--samples", "5")


def main():
    binaries = sys.argv[1]
    program, promtool = need("prometheus", "prometheus"), need("promtool", "prometheus")
    print(run(promtool, "check", "config", SCRAPE_CONFIG))
    with tempfile.TemporaryDirectory(prefix="qtipd-prometheus-") as folder, \
            Daemon(binaries) as daemon, serve(gpu_page()) as gpu, \
            Prometheus(program, folder, daemon.http, gpu) as prometheus:
        work(daemon, "first")
        # The metrics themselves, as the tool that knows the rules sees them.
        with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        said = run(promtool, "check", "metrics", input=metrics)
        assert not said.strip(), said
        # A rate needs a value before and one after.
        scraped = [("scrape", 'qtipd_operations_total{kind="benchmark"}')]
        assert not prometheus.wait_for(scraped), "prometheus never saw the first benchmark"
        work(daemon, "second")
        queries = list(dashboard_queries())
        assert len(queries) > 15, queries
        without_data = prometheus.wait_for(queries)
        assert not without_data, f"no data within {DEADLINE_SECONDS} s: {without_data}\n{metrics}"
        exported = set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{| )", metrics, re.M))
        print(f"{len(queries)} queries of the dashboard have data; {len(exported)} metrics are exported")


if __name__ == "__main__":
    main()

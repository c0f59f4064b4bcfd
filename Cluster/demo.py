"""`Cluster/run demo`: three zones on one machine, real FHIR, a lost leader, a proved restore."""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from lib import definitions, failover, fhir, loading, patients, processes, recovery  # noqa: E402
from lib.cluster import ClusterError, LocalCluster  # noqa: E402
from lib.loading import Wrong  # noqa: E402

GENERATED_PATIENTS = 200
CHANGED = 20  # resources updated twice, and every fourth of them deleted
FIRST = ("hospitalInformation", "practitionerInformation")  # the other bundles refer to these
BUNDLE_WRITERS = 4
ROOT = Path(__file__).resolve().parent.parent


class Demo:
    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        (ROOT / ".build").mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / ".build"))
        self.clusters = []
        self.expected = {}  # "Type/id" → what was sent (loading.expectation)
        self.figures = []

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def note(self, figure):
        self.figures.append(figure)
        self.say(f"  {figure}")

    def start_cluster(self, name):
        cluster = LocalCluster(self.folder / name, self.options.bin / "spined")
        self.clusters.append(cluster)
        cluster.start()
        cluster.wait_serving()
        for node in cluster.nodes:
            self.say(f"  {node.name} in zone {node.zone}: client {node.client}, FHIR {node.fhir}")
        return cluster

    def run(self):
        """Returns the words that follow `demo: ok`."""
        wheel, without = None, "generated data only"
        bundles = self.bundles()
        if not self.options.generated_only:
            self.say("Fetching the FHIR R4 definitions")
            try:
                wheel = definitions.fetch()
            except definitions.Unavailable as reason:
                self.say(f"  could not be downloaded: {reason}")
                self.say("  going on with patients generated here"
                         + (f" and the bundles of {self.options.data}" if bundles else ""))
                if bundles:
                    without = "generated data and the bundles only, no definitions"
        self.say("Starting three zones")
        cluster = self.start_cluster("first")
        if wheel:
            self.load_definitions(cluster, wheel)
        if bundles:
            self.load_bundles(cluster, "bundles", bundles)
        self.load_bundles(cluster, "generated bundles", [
            (f"generated patient {i}", patients.bundle(i)) for i in range(GENERATED_PATIENTS)])
        self.read_back(cluster)
        self.lose_leader(cluster)
        changed = self.change(cluster)
        self.restore(cluster, changed)
        self.say("Stopping both clusters")
        for each in self.clusters:
            stubborn = each.stop()
            if stubborn:
                raise Wrong(f"{', '.join(stubborn)} did not stop on SIGTERM within 20 s")
        for figure in self.figures:
            print(f"  {figure}")
        if not wheel:
            return f"({without})"
        return f"in {time.monotonic() - self.began:.0f} s: " + "; ".join(self.figures)

    def bundles(self):
        """(name, bytes) of the bundles in --data, those that others refer to first."""
        if not self.options.data:
            return []
        files = sorted(self.options.data.glob("*.json"),
                       key=lambda path: (not path.name.startswith(FIRST), path.name))
        if not files:
            raise ClusterError(f"{self.options.data} holds no *.json: give --data a directory of "
                               "FHIR transaction bundles")
        return [(path.name, path.read_bytes()) for path in files]

    def load_definitions(self, cluster, wheel):
        self.say("Loading the definitions, one PUT each")
        began = time.monotonic()
        taken, refused = loading.put_definitions(
            cluster.nodes, definitions.resources(wheel), self.say)
        seconds = time.monotonic() - began
        if len(refused) != 1:
            raise Wrong(f"{len(refused)} definitions have an id that is too long, not 1: {refused}")
        self.expected |= taken
        self.note(f"{len(taken)} definitions put in {seconds:.1f} s "
                  f"({len(taken) / seconds:.0f}/s), 1 refused with 400 for its long id")

    def load_bundles(self, cluster, what, bundles):
        self.say(f"Loading {len(bundles)} {what}, one transaction each")
        began = time.monotonic()
        connections = loading.Connections(cluster.nodes)

        def post(turn, item):
            return loading.post_bundle(connections.server(turn), *item)

        first = [item for item in bundles if item[0].startswith(FIRST)]
        rest = [item for item in bundles if not item[0].startswith(FIRST)]
        loaded = loading.each(first, post, 1) + loading.each(
            rest, post, BUNDLE_WRITERS, self.say, every=max(10, len(rest) // 4))
        count = 0
        for places in loaded:
            if places.keys() & self.expected.keys():
                raise Wrong(f"an id was assigned twice: {places.keys() & self.expected.keys()}")
            self.expected |= places
            count += len(places)
        seconds = time.monotonic() - began
        self.note(f"{count} resources in {len(bundles)} {what} in {seconds:.1f} s "
                  f"({count / seconds:.0f}/s)")

    def read_back(self, cluster):
        self.say("Reading every resource back and comparing it to the last digit")
        began = time.monotonic()
        count = loading.read_back(cluster.nodes, self.expected, self.say)
        seconds = time.monotonic() - began
        self.note(f"{count} resources read back equal in {seconds:.1f} s ({count / seconds:.0f}/s)")

    def lose_leader(self, cluster):
        self.say("Killing the leader while writing")
        figures, expected = failover.kill_leader(cluster, self.say)
        self.expected |= expected
        self.note(f"leader lost: {figures['acknowledged']} acknowledged writes, none lost "
                  f"({figures['unknown']} ended unknown); writes stood still for "
                  f"{figures['keys_ms']} ms (etcd API), {figures['fhir_ms']} ms (FHIR)")

    def change(self, cluster):
        """Gives some resources a history: two updates, and a deletion of every fourth."""
        self.say(f"Updating {CHANGED} resources twice and deleting {CHANGED // 4}")
        server = fhir.Server(cluster.nodes[0].fhir)
        changed = sorted(place for place in self.expected if place.startswith("Patient/"))[:CHANGED]
        for i, place in enumerate(changed):
            for text in ("first", "second"):
                current = server.get(place)
                resource = json.loads(current.body)
                resource["language"] = f"x-{text}"
                answer = server.put(place, resource, **{"If-Match": current.headers["etag"]})
                if answer.status != 200:
                    raise Wrong(f"PUT {place}: {loading.describe(answer)}")
            stale = server.put(place, resource, **{"If-Match": current.headers["etag"]})
            if stale.status != 412:
                raise Wrong(f"PUT {place} with a stale If-Match: {loading.describe(stale)}")
            if i % 4 == 0:
                answer = server.request("DELETE", place)
                if answer.status not in (200, 204) or server.get(place).status != 410:
                    raise Wrong(f"DELETE {place}: {loading.describe(answer)}")
        return changed

    def restore(self, cluster, changed):
        spinectl = self.options.bin / "spinectl"
        point = self.folder / "recovery-point"
        self.say("Taking a recovery point")
        began = time.monotonic()
        recovery.spinectl(spinectl, "snapshot", "create", point,
                          "--endpoints", ",".join(cluster.endpoints))
        size = sum(path.stat().st_size for path in point.rglob("*") if path.is_file())
        created = time.monotonic()
        recovery.spinectl(spinectl, "snapshot", "verify", point)
        verified = time.monotonic()
        self.note(f"recovery point of {size / 1e6:.1f} MB in {created - began:.1f} s, "
                  f"verified in {verified - created:.1f} s")
        self.say("Restoring it into a second, empty cluster")
        second = self.start_cluster("second")
        began = time.monotonic()
        recovery.spinectl(spinectl, "snapshot", "restore", point,
                          "--endpoints", ",".join(second.endpoints))
        second.wait_serving()
        restored = time.monotonic() - began
        recovery.spinectl(spinectl, "snapshot", "restore", point,
                          "--endpoints", ",".join(second.endpoints), expect_success=False)
        self.say("Comparing every record of both clusters (a second restore was refused)")
        records = recovery.compare_keyspaces(cluster.nodes[0], second.nodes[-1])
        versions = recovery.compare_histories(cluster.nodes, second.nodes, self.expected, self.say)
        reads = recovery.compare_versions(cluster.nodes, second.nodes, changed)
        self.note(f"restored in {restored:.1f} s: {records} records and {versions} versions in "
                  f"histories equal, {reads} by vread")

    def end(self):
        for cluster in self.clusters:
            cluster.kill()


def main():
    parser = argparse.ArgumentParser(prog="Cluster/run demo", add_help=False)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--generated-only", action="store_true")
    options = parser.parse_args()
    processes.exit_on_signals()
    if options.data and not options.data.is_dir():
        print(f"demo: FAILED {options.data} is not a directory: give --data one that holds FHIR "
              "transaction bundles")
        sys.exit(1)
    demo = Demo(options)
    why = None
    try:
        last = demo.run()
    except (Wrong, ClusterError, TimeoutError) as error:
        why = str(error)
    except Exception as error:
        traceback.print_exc()
        why = repr(error)
    except BaseException:  # interrupted
        demo.end()
        shutil.rmtree(demo.folder, ignore_errors=True)
        raise
    demo.end()
    if why is not None:
        print(f"The logs are kept in {demo.folder}")
        print("demo: FAILED " + re.sub(r"\s*\n\s*", "; ", why), flush=True)
        sys.exit(1)
    shutil.rmtree(demo.folder, ignore_errors=True)
    print(f"demo: ok {last}", flush=True)


if __name__ == "__main__":
    main()

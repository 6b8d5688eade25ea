"""Sends events with Elasticsearch's own client: ADDRESS KEY COUNT MARK."""

import datetime
import sys

from elasticsearch import Elasticsearch, helpers

address, key, count, mark = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.000")
client = Elasticsearch(address, basic_auth=("shipper", key), request_timeout=60, http_compress=True)
print("server", client.info()["version"]["number"])


def actions():
    for number in range(count):
        yield {
            "_op_type": "create",
            "_index": "logs-windows",
            "_source": {
                "EventID": 1,
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "SourceName": "Microsoft-Windows-Sysmon",
                "Hostname": f"PC-{number % 10}",
                "UtcTime": now,
                "Image": "C:\\Windows\\System32\\cmd.exe",
                "CommandLine": f"{mark} é {number}",
            },
        }


done, errors = helpers.bulk(client, actions(), chunk_size=200)
print("taken", done, "errors", len(errors))
assert done == count and not errors

try:
    client.delete(index="logs-windows", id="1")
except Exception as error:  # Whatever the client calls it: events are not its to remove.
    print("delete refused:", type(error).__name__)
else:
    sys.exit("an event was deleted")

try:
    Elasticsearch(address, basic_auth=("shipper", "wrong")).info()
except Exception as error:
    print("wrong key refused:", type(error).__name__)
else:
    sys.exit("a wrong key was taken")

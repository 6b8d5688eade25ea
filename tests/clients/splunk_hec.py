"""Sends events with Splunk's logging handler for Python: ADDRESS KEY COUNT MARK."""

import logging
import sys
from urllib.parse import urlsplit

from splunk_hec_handler import SplunkHecHandler

address, key, count, mark = sys.argv[1:]
url = urlsplit(address)
# The handler hides what the server answers; a failed request must fail the test.
logging.raiseExceptions = True
handler = SplunkHecHandler(
    url.hostname, key, port=url.port, proto=url.scheme, source="a-source", hostname="pc-hec"
)
statuses = []
handler.r.hooks["response"].append(lambda response, *_, **__: statuses.append(response.status_code))
logger = logging.getLogger("hec")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(int(count)):
    logger.info({"message": f"{mark} {number}", "fields": {"site": "mairie"}})
assert statuses == [200] * int(count), statuses

"""Sends log records with OpenTelemetry's own exporter for OTLP over HTTP: ADDRESS KEY COUNT MARK."""

import logging
import sys

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

address, key, count, mark = sys.argv[1:]
exporter = OTLPLogExporter(
    endpoint=f"{address}/v1/logs",
    headers={"authorization": f"Bearer {key}"},
    compression=Compression.Gzip,
)
results = []
export = exporter.export


def recording(*arguments, **named):
    result = export(*arguments, **named)
    results.append(result.name)
    return result


exporter.export = recording
provider = LoggerProvider(
    resource=Resource.create({"service.name": "portail", "host.name": "srv-otlp"})
)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = logging.getLogger("otlp")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(LoggingHandler(logger_provider=provider))
for number in range(int(count)):
    logger.warning("%s %d", mark, number, extra={"commune": "dijon"})
provider.shutdown()
assert results and set(results) == {"SUCCESS"}, results

"""Sends log records with OpenTelemetry's own exporter for OTLP over gRPC: ADDRESS KEY COUNT MARK [CA].

With CA, a certificate's file, the address is https and only that certificate is trusted.
"""

import logging
import sys

import grpc
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

address, key, count, mark, *ca = sys.argv[1:]
credentials = None
if ca:
    with open(ca[0], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
exporter = OTLPLogExporter(
    endpoint=address,
    insecure=not ca,
    credentials=credentials,
    headers=(("authorization", f"Bearer {key}"),),
    compression=grpc.Compression.Gzip,
)
results = []
export = exporter.export


def recording(*arguments, **named):
    result = export(*arguments, **named)
    results.append(result.name)
    return result


exporter.export = recording
provider = LoggerProvider(
    resource=Resource.create({"service.name": "portail", "host.name": "srv-grpc"})
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

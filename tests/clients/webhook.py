"""Checks webhooks with the Standard Webhooks library, as a receiver would.

Reads {"secret": ..., "messages": [{"headers": {...}, "body": "..."}]} from stdin; ends with an
error at the first message that the library does not accept, and accepts none that was altered.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

asked = json.load(sys.stdin)
receiver = Webhook(asked["secret"])
for message in asked["messages"]:
    receiver.verify(message["body"], message["headers"])
    try:
        receiver.verify(message["body"].replace("incident", "Incident"), message["headers"])
    except WebhookVerificationError:
        continue
    sys.exit("an altered message was accepted")
print(len(asked["messages"]))

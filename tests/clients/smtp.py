"""A mail server that prints what it takes, one JSON object a line: smtp.py PORT MODE DIR

MODE is `starttls` (offered, and demanded before anything else), `tls` (from the first byte) or `plain` (neither).
DIR has certificate.pem and key.pem. Where a connection is protected, it demands user `soc` with password
`secret de poste`. The first message that is no test is answered 451: try again later.
"""

import email
import email.policy
import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword, SMTP


class Takes:
    def __init__(self):
        self.refused = False

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "protected": session.ssl is not None,
            "login": session.authenticated,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "text": mail.get_content(),
        }), flush=True)
        if not self.refused and "essai" not in mail["subject"]:
            self.refused = True
            return "451 4.3.0 come back later"
        return "250 taken"


def knows(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and data == LoginPassword(b"soc", "secret de poste".encode())
    return AuthResult(success=known, handled=known)


port, mode, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
options = {} if mode == "plain" else {"authenticator": knows, "auth_required": True}
if mode == "starttls":
    options |= {"tls_context": context, "require_starttls": True}
if mode == "tls":
    # The library looks for STARTTLS alone; this connection is protected already.
    options |= {"auth_require_tls": False}


class Server(Controller):
    def factory(self):
        return SMTP(self.handler, hostname="localhost", **options)


server = Server(Takes(), hostname="127.0.0.1", port=port, ssl_context=context if mode == "tls" else None)
server.start()
print("ready", flush=True)
threading.Event().wait()

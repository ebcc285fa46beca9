"""A client that speaks XMPP byte by byte to a deployment's server, with SCRAM as its only way to log in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from tests.xmpp.raw_client import RawClient

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


class Outsider(RawClient):
    def offered(self) -> list[str]:
        """Open the stream and encrypt it; the ways to log in that are offered then."""
        self.secure(self.header)
        return re.findall(r"<mechanism>([^<]*)</mechanism>", self.until("</stream:features>"))

    def authenticate(self, account, password=None, as_another=""):
        """SCRAM-SHA-256 (RFC 5802, RFC 7677); returns the server's last word: success or failure.

        Args:
            account: whose name is given.
            password: the secret; the account's own by default.
            as_another: bare JID to act as (authzid).
        """
        said = self.begins_to_authenticate(account, password, as_another)
        return said if "</failure>" in said else self.ends_authenticating(said)

    def begins_to_authenticate(self, account, password=None, as_another=""):
        """All but its last word, which is returned; the server's failure if that ended it."""
        if self.tls is None:
            self.offered()
        password = self.connection.password_for(account) if password is None else password
        nonce = secrets.token_hex(12)
        bare = f"n={account},r={nonce}"
        header = f"n,{f'a={as_another}' if as_another else ''},"
        first = base64.b64encode(f"{header}{bare}".encode()).decode()
        self.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>")
        said = self.until(">") if not self.received else ""
        while "</challenge>" not in said and "</failure>" not in said:
            said += self.until(">")
        if "</failure>" in said:
            return said
        challenge = base64.b64decode(re.search(r"<challenge[^>]*>([^<]*)<", said)[1]).decode()
        given = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", password.encode(), base64.b64decode(given["s"]), int(given["i"])
        )
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c={base64.b64encode(header.encode()).decode()},r={given['r']}"
        signed = f"{bare},{challenge},{final}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        last = base64.b64encode(f"{final},p={base64.b64encode(proof).decode()}".encode()).decode()
        return f"<response xmlns='{SASL}'>{last}</response>"

    def ends_authenticating(self, last_word):
        """Say the last word; returns the server's."""
        self.send(last_word)
        said = ""
        while "</success>" not in said and "</failure>" not in said:
            said += self.until(">")
        return said

    def log_in(self, account, resource="outsider", present=True, as_another=""):
        said = self.authenticate(account, as_another=as_another)
        assert "<success" in said, said
        return self.binds(resource, present)

    def binds(self, resource, present=True):
        """Bind a resource and say present; returns the full JID."""
        self.send(self.header)
        self.until("</stream:features>")
        self.send(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        answer = self.until("</iq>")
        if present:
            self.send("<presence/>")
        return answer.split("jid>")[1].split("<")[0]

    def ping(self):
        """Wait until the server has handled all that was sent before."""
        self.send(f"<iq type='get' id='p' to='{self.connection.domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        said = ""
        while "id='p'" not in said and 'id="p"' not in said:
            said += self.until(">")
        return said

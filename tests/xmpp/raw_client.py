"""A client that speaks XMPP byte by byte, so that tests choose what is sent when."""

import base64
import socket
import ssl

HEADER = (
    "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' "
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)


PATIENCE_S = 20
"""How long a server may be silent that is about to say something, on a machine that does much else."""


class RawClient:
    def __init__(self, connection, domain=None):
        self.connection = connection
        self.header = HEADER.format(domain=domain or connection.domain)
        self.socket = socket.create_connection((connection.host, connection.port), PATIENCE_S)
        self.tls = None
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _flush(self):
        if data := self.outgoing.read():
            self.socket.sendall(data)

    def send(self, text):
        if self.tls is None:
            self.socket.sendall(text.encode())
        else:
            self.tls.write(text.encode())
            self._flush()

    def _read(self):
        """What the server sent next; empty when it has closed."""
        while True:
            if self.tls is not None:
                try:
                    return self.tls.read(65536)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    return b""
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return b""
            if self.tls is None or not data:
                return data
            self.incoming.write(data)

    def until(self, mark):
        """Everything up to ``mark``, which must come."""
        while mark.encode() not in self.received:
            data = self._read()
            assert data, f"closed before {mark}, after {self.received!r}"
            self.received += data
        head, _, self.received = self.received.partition(mark.encode())
        return (head + mark.encode()).decode()

    def until_closed(self):
        while data := self._read():
            self.received += data
        rest, self.received = self.received.decode(), b""
        return rest

    def secure(self, first=""):
        """STARTTLS; ``first`` goes out in one piece with the end of the handshake."""
        self.send(self.header)
        self.until("</stream:features>")
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        while b"proceed" not in self.received:
            self.received += self.socket.recv(65536)
        self.received = b""
        context = ssl.create_default_context(cafile=self.connection.ca_file)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=self.connection.domain)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if data := self.outgoing.read():
                    self.socket.sendall(data)
                self.incoming.write(self.socket.recv(65536))
        if first:
            tls.write(first.encode())
        self.tls = tls
        self._flush()

    def authenticate(self, account, password=None):
        self.secure(self.header)
        self.until("</stream:features>")
        password = self.connection.password_for(account) if password is None else password
        proof = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>")

    def log_in(self, account, resource="test", present=True):
        """Authenticate, bind, and say present; returns the full JID."""
        self.authenticate(account)
        self.until("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
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

    def message(self, to, body, **attributes):
        extra = "".join(f" {name}='{value}'" for name, value in attributes.items())
        self.send(f"<message to='{to}' type='chat'{extra}><body>{body}</body></message>")

    def ping(self):
        """Wait until the server has handled all that was sent before."""
        self.send(f"<iq type='get' id='p' to='{self.connection.domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
        return self.until('<iq type="result" id="p"')

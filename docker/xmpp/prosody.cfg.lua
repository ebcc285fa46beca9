-- Prosody for one energy community: TLS only, accounts made beforehand, no federation.
-- PEERWATT_DOMAIN: the domain of all JIDs. PEERWATT_RUN: the run's directory. Both are set by compose.

local domain = assert(os.getenv("PEERWATT_DOMAIN"), "PEERWATT_DOMAIN is not set");
local run = assert(os.getenv("PEERWATT_RUN"), "PEERWATT_RUN is not set");
local deployment = "/deployment";

-- Compose decides which user runs this; where it maps the container's root to a person (rootless Docker), root it is.
run_as_root = true
pidfile = "/tmp/prosody.pid"
data_path = deployment .. "/prosody"
certificates = deployment .. "/credentials"
plugin_paths = { "/etc/prosody/modules" }
log = { { levels = { min = os.getenv("PEERWATT_XMPP_LOG") or "info" }, to = "console" } }

interfaces = { "*" }
c2s_ports = { 5222 }
c2s_direct_tls_ports = {}
s2s_ports = {}
s2s_direct_tls_ports = {}
component_ports = {}
http_ports = {}
https_ports = {}

modules_enabled = {
	"saslauth";
	"tls";
	"roster";
	"disco";
	"ping";
	"offline"; -- a message for an agent that is away waits for it
	"limits";
	"peerwatt_accounts";
	"peerwatt_audit";
}
modules_disabled = { "s2s"; "s2s_auth_certs"; "dialback"; "register_ibr" }

authentication = "internal_hashed"
allow_registration = false
c2s_require_encryption = true
allow_unencrypted_plain_auth = false
disable_sasl_mechanisms = { "DIGEST-MD5", "ANONYMOUS" }
ssl = {
	certificate = deployment .. "/credentials/server.pem";
	key = deployment .. "/credentials/server.key.pem";
	protocol = "tlsv1_2+";
}

-- With Nagle's algorithm a round of ten members waits 60 ms for delayed acknowledgements.
network_settings = { nagle = false; tcp_keepalive = 60; tcp_backlog = 1024 }
c2s_timeout = 30
-- Agents send bodies of up to 200 kB; escaped for XML they grow, JSON by a few per cent (quotes).
c2s_stanza_size_limit = 512 * 1024
-- The limit paces every read. The coordinator talks to all members at once and is left alone.
limits = { c2s = { rate = "256kb/s"; burst = "4s" } }
unlimited_jids = { "coordinator@" .. domain }
conflict_resolve = "kick_old"
storage = "internal"

peerwatt_secret_file = deployment .. "/credentials/secret"
peerwatt_accounts_file = run .. "/config/accounts.json"
peerwatt_audit_file = run .. "/server/messages.jsonl"

VirtualHost (domain)

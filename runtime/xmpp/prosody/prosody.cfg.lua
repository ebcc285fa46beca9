-- Prosody for one energy community: TLS only, the community's accounts only, no federation.
--
-- From the environment:
--   PEERWATT_DOMAIN      domain of all JIDs
--   PEERWATT_HANDOUT     folder with ca.pem, server.pem, server.key.pem and accounts.json (/run/peerwatt)
--   PEERWATT_DATA        folder for what waits for agents that are away (/var/lib/peerwatt)
--   PEERWATT_AUDIT       file of the server's own record of messages (/var/log/peerwatt/messages.jsonl); none: no record
--   PEERWATT_MODULES     folder of our modules (/etc/prosody/modules)
--   PEERWATT_INTERFACE, PEERWATT_XMPP_PORT  where to listen (*, 5222)
--   PEERWATT_UNLIMITED   accounts without a rate limit, by spaces (coordinator)
--   PEERWATT_XMPP_LOG    least important level to log (info)

local function setting(name, default)
	local value = os.getenv("PEERWATT_" .. name);
	if value and value ~= "" then return value; end
	return (assert(default, "PEERWATT_" .. name .. " is not set"));
end

local domain = setting("DOMAIN");
local handout = setting("HANDOUT", "/run/peerwatt");
local data = setting("DATA", "/var/lib/peerwatt");
local audit = setting("AUDIT", "/var/log/peerwatt/messages.jsonl");
local unlimited = {};
for account in setting("UNLIMITED", "coordinator"):gmatch("%S+") do
	unlimited[#unlimited + 1] = account .. "@" .. domain;
end

-- The engine decides which user runs this; where it maps the container's root to a person (rootless), root it is.
run_as_root = true
pidfile = data .. "/prosody.pid"
data_path = data
certificates = handout
plugin_paths = { setting("MODULES", "/etc/prosody/modules") }
log = { { levels = { min = setting("XMPP_LOG", "info") }, to = "console" } }

interfaces = { setting("INTERFACE", "*") }
c2s_ports = { tonumber(setting("XMPP_PORT", "5222")) }
c2s_direct_tls_ports = {}
s2s_ports = {}
s2s_direct_tls_ports = {}
component_ports = {}
http_ports = {}
https_ports = {}

local modules = {
	"saslauth";
	"tls";
	"peerwatt_confine"; -- messages, and nothing else, from one account to another
	"disco";
	"ping";
	"offline"; -- a message for an agent that is away waits for it
	"limits";
}
if audit ~= "none" then
	modules[#modules + 1] = "peerwatt_audit";
	peerwatt_audit_file = audit
end
modules_enabled = modules
modules_disabled = { "s2s"; "s2s_auth_certs"; "dialback"; "register_ibr" }

authentication = "peerwatt"
peerwatt_accounts_file = handout .. "/accounts.json"
allow_registration = false
c2s_require_encryption = true
allow_unencrypted_plain_auth = false
disable_sasl_mechanisms = { "PLAIN", "DIGEST-MD5", "ANONYMOUS", "SCRAM-SHA-1" }
ssl = {
	certificate = handout .. "/server.pem";
	key = handout .. "/server.key.pem";
	protocol = "tlsv1_2+";
}

-- With Nagle's algorithm a round of ten members waits 60 ms for delayed acknowledgements.
network_settings = { nagle = false; tcp_keepalive = 60; tcp_backlog = 1024 }
-- Who has not logged in by then is cut off, and may say little before.
c2s_timeout = 30
c2s_unauthed_stanza_size_limit = 10000
-- Agents send bodies of up to 200 kB; escaped for XML they grow, JSON by a few per cent (quotes).
c2s_stanza_size_limit = 512 * 1024
-- The limit paces every read. The coordinator talks to all members at once and is left alone.
limits = { c2s = { rate = "256kb/s"; burst = "4s" } }
unlimited_jids = unlimited
conflict_resolve = "kick_old"
storage = "internal"
-- Messages that may wait for one agent.
storage_archive_item_limit = 10000

VirtualHost (domain)

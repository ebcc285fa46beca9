-- The server's own record of who said what to whom: one JSON line for each message a local account sends, with
-- the sender that the server authenticated (not the one the message claims) and without the body, of which only
-- length and SHA-256 are kept, to hold it against the agents' own logs.
--
-- peerwatt_audit_file: where to append

local sha256 = require "util.hashes".sha256;
local json = require "util.json";
local time = require "util.time";

local path = assert(module:get_option_string("peerwatt_audit_file"), "peerwatt_audit_file is not set");
local file = assert(io.open(path, "a"));
file:setvbuf("line");

local function form_fields(stanza)
	local form = stanza:get_child("x", "jabber:x:data");
	if not form then return nil; end
	local fields = {};
	for field in form:childtags("field") do
		if field.attr.var then fields[field.attr.var] = field:get_child_text("value"); end
	end
	return fields;
end

local function record(event)
	local stanza, origin = event.stanza, event.origin;
	local body = stanza:get_child_text("body");
	file:write(json.encode({
		time_unix_s = time.now();
		sender = origin.full_jid or stanza.attr.from;
		recipient = stanza.attr.to;
		stanza_id = stanza.attr.id;
		type = stanza.attr.type;
		thread = stanza:get_child_text("thread");
		fields = form_fields(stanza);
		body_bytes = body and #body or 0;
		body_sha256 = body and sha256(body, true) or nil;
	}), "\n");
end

for _, kind in ipairs({ "full", "bare", "host" }) do
	module:hook("pre-message/" .. kind, record, 1000);
end

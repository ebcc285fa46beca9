-- The server's own record of who said what to whom, to hold agents' logs against: one JSON object a line, appended
-- for each message that a logged-in account sends, before it is routed.
--
--   time_unix_s    when the server took it [s since 1970]
--   sender         full JID that the server authenticated, whatever the stanza claims
--   recipient      JID it is addressed to, as sent
--   stanza_id      id of the stanza, as sent; absent without one
--   type           type of the stanza, as sent; absent without one
--   thread         conversation, from the stanza or from the form's field _thread_node; absent without one
--   fields         of the metadata form, those of an envelope (runtime/messaging/wire.py): performative, protocol,
--                  ontology, reply-with (the message's id), in-reply-to, reply-by, expects-reply, each cut to
--                  200 bytes; absent without a form
--   body_bytes     length of the body in UTF-8 [bytes]; 0 without one
--   body_sha256    SHA-256 of the body in UTF-8, hexadecimal; absent without a body
--
-- The body itself is never written. A message that an agent repeats is there again; one that waits for its recipient
-- is there once, when it was sent. What is refused before it is a message (no login, malformed XML, too long) is in
-- the server's log instead. A recipient that is absent is the sender's own account.
--
-- A line {"opened_unix_s": …} stands where the server began to write: at its start, and with "reopened": true where
-- its configuration was loaded again, as after the file was moved away (rotated).
--
-- peerwatt_audit_file: where to append

local sha256 = require "util.hashes".sha256;
local json = require "util.json";
local time = require "util.time";

local path = assert(module:get_option_string("peerwatt_audit_file"), "peerwatt_audit_file is not set");
local file;

local function open(reopened)
	-- Half a line that a crash left is ended, so that it does not spoil the next.
	local torn = false;
	local before = io.open(path, "r");
	if before then
		if before:seek("end") > 0 then
			before:seek("end", -1);
			torn = before:read(1) ~= "\n";
		end
		before:close();
	end
	file = assert(io.open(path, "a"));
	file:setvbuf("line");
	file:write(torn and "\n" or "", json.encode({ opened_unix_s = time.now(); reopened = reopened }), "\n");
end
open();
module:hook_global("config-reloaded", function ()
	file:close();
	open(true);
end);

local value_limit_bytes = 200;
local known = {
	["performative"] = true; ["protocol"] = true; ["ontology"] = true; ["reply-with"] = true;
	["in-reply-to"] = true; ["reply-by"] = true; ["expects-reply"] = true;
};

local function cut(text)
	return text and text:sub(1, value_limit_bytes);
end

local function form_fields(stanza)
	local form = stanza:get_child("x", "jabber:x:data");
	if not form then return nil, nil; end
	local fields, thread = {}, nil;
	for field in form:childtags("field") do
		local name = field.attr.var;
		if known[name] then fields[name] = cut(field:get_child_text("value")); end
		if name == "_thread_node" then thread = cut(field:get_child_text("value")); end
	end
	return fields, thread;
end

local function record(event)
	local stanza, origin = event.stanza, event.origin;
	local body = stanza:get_child_text("body");
	local fields, thread = form_fields(stanza);
	file:write(json.encode({
		time_unix_s = time.now();
		sender = origin.full_jid or stanza.attr.from;
		recipient = cut(stanza.attr.to);
		stanza_id = cut(stanza.attr.id);
		type = cut(stanza.attr.type);
		thread = cut(stanza:get_child_text("thread")) or thread;
		fields = fields;
		body_bytes = body and #body or 0;
		body_sha256 = body and sha256(body, true) or nil;
	}), "\n");
end

for _, kind in ipairs({ "full", "bare", "host" }) do
	module:hook("pre-message/" .. kind, record, 1000);
end

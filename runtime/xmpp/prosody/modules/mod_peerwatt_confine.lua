-- Accounts of a community have nothing to say to each other but messages. What else XMPP lets an account do is
-- refused, since it costs others something: queries and presence to another account would be taken apart by its
-- agent, contacts be kept by the server, in a file that is written anew with each. And an account has only so many
-- sessions at once, as limits are by connection; one more ends the oldest.
--
-- peerwatt_sessions: how many sessions an account may have (4)

local st = require "util.stanza";
local sessions_of = prosody.bare_sessions;
local limit = module:get_option_number("peerwatt_sessions", 4);

-- Prosody takes away "to" where it names the sender's own account.
local function query(event)
	local stanza = event.stanza;
	if not stanza.attr.to then return; end
	if stanza.attr.type == "get" or stanza.attr.type == "set" then
		event.origin.send(st.error_reply(stanza, "cancel", "service-unavailable"));
	end
	return true;
end
module:hook("pre-iq/full", query, 1000);
module:hook("pre-iq/bare", query, 1000);

local function presence(event)
	return event.stanza.attr.to ~= nil or nil;
end
for _, kind in ipairs({ "full", "bare", "host" }) do
	module:hook("pre-presence/" .. kind, presence, 1000);
end

module:hook("pre-resource-bind", function (event)
	local session = event.session;
	local account = session.username .. "@" .. session.host;
	local count, oldest = 0, nil;
	for _, other in pairs(sessions_of[account] and sessions_of[account].sessions or {}) do
		count = count + 1;
		if not oldest or other.conntime < oldest.conntime then oldest = other; end
	end
	if count >= limit then
		module:log("warn", "%s has %d sessions: the oldest is ended", account, count);
		oldest:close({ condition = "policy-violation", text = "too many sessions" });
	end
end);

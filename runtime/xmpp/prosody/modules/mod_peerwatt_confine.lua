-- Accounts of a community have nothing to say to each other but messages. What else XMPP lets an account do is
-- refused, since it costs others something: queries and presence to another account would be taken apart by its
-- agent, contacts be kept by the server, in a file that is written anew with each.
--
-- And an account has one session: a login ends the session before with "conflict", whatever either is called. So whoever
-- has an account's secret beside its agent has to take its place, which the agent notices, and limits, which are by
-- connection, are the account's.

local st = require "util.stanza";
local sessions_of = prosody.bare_sessions;

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
	local before = {};
	for _, other in pairs(sessions_of[account] and sessions_of[account].sessions or {}) do
		before[#before + 1] = other;
	end
	for _, other in ipairs(before) do
		module:log("info", "%s: a login from %s takes the place of the session from %s", account, session.ip, other.ip);
		other:close({ condition = "conflict", text = "Replaced by new connection" });
	end
end);

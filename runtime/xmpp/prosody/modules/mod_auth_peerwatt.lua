-- Accounts of one community: those in a file, each with a SCRAM-SHA-256 verifier, and no others. The file is looked
-- at at each login, so a secret that is changed there counts at once; within seconds the sessions are ended that logged
-- in with another than it holds now, or whose account is gone. No password can be made, changed or taken back from a
-- verifier here, and none is ever sent: PLAIN is not offered.
--
-- peerwatt_accounts_file: JSON object by account name (local part of its JID) of
--   { "salt": ASCII text, "iteration_count": N, "stored_key": hexadecimal, "server_key": hexadecimal }

local lfs = require "lfs";
local json = require "util.json";
local from_hex = require "util.hex".decode;
local new_sasl = require "util.sasl".new;

local host = module.host;
local path = assert(module:get_option_string("peerwatt_accounts_file"), "peerwatt_accounts_file is not set");
local text, accounts;
local seen; -- what the file looked like when it was read, if every later change is sure to make it look otherwise
local clock_grain_s = 2; -- changes within it may leave a file's times as they were
local look_every_s = 2; -- at the file, for sessions whose secret was changed
local logins = setmetatable({}, { __mode = "k" }); -- what a session logs in with, or did: its account and stored_key
local complained;

local function looks()
	local found = lfs.attributes(path);
	if not found then return nil, false; end
	return table.concat({ found.dev, found.ino, found.size, found.modification, found.change }, " "),
		os.time() - math.max(found.modification, found.change) > clock_grain_s;
end

local function complain(reason)
	if reason ~= complained then module:log("error", "%s: %s", path, reason); end
	complained = reason;
end

-- Half a file, or none, never locks anybody out who was let in before: the accounts read last go on.
local function current()
	local like, settled = looks();
	if like and like == seen then return accounts; end
	seen = nil;
	local file, err = io.open(path, "r");
	local found = file and file:read("*a");
	if file then file:close(); end
	if not found then
		complain("cannot be read: " .. tostring(err));
	elseif found ~= text then
		local decoded, reason = json.decode(found);
		if type(decoded) == "table" then
			text, accounts = found, decoded;
		else
			complain("expected a JSON object by account name: " .. tostring(reason or type(decoded)));
		end
	end
	if found and found == text then complained = nil; end
	if found and found == text and settled then seen = like; end
	return accounts or error("no accounts", 0);
end

local function refuse() return nil, "accounts are managed in a file, outside the server"; end

local provider = {
	user_exists = function (name) return current()[name] ~= nil; end;
	users = function () return pairs(current()); end;
	test_password = refuse;
	set_password = refuse;
	create_user = refuse;
	delete_user = refuse;
};

function provider.get_sasl_handler(session)
	return new_sasl(host, {
		scram_sha_256 = function (_, name)
			local account = current()[name];
			if not account then return; end
			-- Noted here and not at the end of the login, which may be held back until the secret has changed.
			logins[session] = { name = name, stored_key = account.stored_key };
			return from_hex(account.stored_key), from_hex(account.server_key),
				account.iteration_count, account.salt, true;
		end;
	});
end

module:provides("auth", provider);

local function end_outdated()
	local now, outdated = current(), {};
	for session, login in pairs(logins) do
		local account = now[login.name];
		if session.type ~= "c2s_unauthed" and not session.destroyed
		and not (account and account.stored_key == login.stored_key) then
			outdated[session] = account and { condition = "reset", text = "the account's secret was changed" }
				or { condition = "not-authorized", text = "the account is gone" };
		end
	end
	for session, reason in pairs(outdated) do
		module:log("warn", "%s: session ended: %s", logins[session].name, reason.text);
		session:close(reason);
	end
end

module:add_timer(look_every_s, function ()
	local done, err = pcall(end_outdated);
	if not done then module:log("error", "sessions with changed secrets are not ended: %s", err); end
	return look_every_s;
end);

-- A server without its accounts would refuse every agent for good: better none at all.
module:hook_global("server-started", function ()
	if not pcall(current) then os.exit(1); end
	module:log("info", "accounts are read from %s", path);
end);

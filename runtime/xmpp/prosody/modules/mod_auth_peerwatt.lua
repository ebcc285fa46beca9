-- Accounts of one community: those in a file, each with a SCRAM-SHA-256 verifier, and no others. The file is looked
-- at at each login, so a secret that is changed there counts at once and open sessions stay. No password can be made,
-- changed or taken back from a verifier here, and none is ever sent: PLAIN is not offered.
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

local function looks()
	local found = lfs.attributes(path);
	if not found then return nil, false; end
	return table.concat({ found.dev, found.ino, found.size, found.modification, found.change }, " "),
		os.time() - math.max(found.modification, found.change) > clock_grain_s;
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
		module:log("error", "%s: cannot be read: %s", path, err);
	elseif found ~= text then
		local decoded, reason = json.decode(found);
		if type(decoded) == "table" then
			text, accounts = found, decoded;
		else
			module:log("error", "%s: expected a JSON object by account name: %s", path, reason or type(decoded));
		end
	end
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

function provider.get_sasl_handler()
	return new_sasl(host, {
		scram_sha_256 = function (_, name)
			local account = current()[name];
			if not account then return; end
			return from_hex(account.stored_key), from_hex(account.server_key),
				account.iteration_count, account.salt, true;
		end;
	});
end

module:provides("auth", provider);

-- A server without its accounts would refuse every agent for good: better none at all.
module:hook_global("server-started", function ()
	if not pcall(current) then os.exit(1); end
	module:log("info", "accounts are read from %s", path);
end);

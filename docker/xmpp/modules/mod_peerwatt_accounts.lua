-- Keeps the accounts of this host equal to a list: those on it exist with the password derived from the
-- deployment's secret, all others are removed. Runs once, before the server takes connections.
--
-- peerwatt_accounts_file: JSON array of account names (the local parts of JIDs)
-- peerwatt_secret_file: the deployment's secret; a trailing line end does not count

local hashes = require "util.hashes";
local json = require "util.json";
local nodeprep = require "util.encodings".stringprep.nodeprep;
local usermanager = require "core.usermanager";

local host = module.host;

local function read(option)
	local path = assert(module:get_option_string(option), option .. " is not set");
	local file, err = io.open(path, "r");
	if not file then error(option .. ": " .. err, 0); end
	local content = file:read("*a");
	file:close();
	return content, path;
end

local function wanted_accounts()
	local content, path = read("peerwatt_accounts_file");
	local names, err = json.decode(content);
	if type(names) ~= "table" or #names == 0 then
		error(("%s: expected a JSON array of account names, found %s"):format(path, err or type(names)), 0);
	end
	local wanted = {};
	for i, name in ipairs(names) do
		local prepared = type(name) == "string" and nodeprep(name);
		if not prepared or prepared == "" or prepared ~= name then
			error(("%s: entry %d is no usable account name: %s"):format(path, i, tostring(name)), 0);
		end
		wanted[name] = true;
	end
	return wanted;
end

local function synchronise()
	local wanted = wanted_accounts();
	local secret, path = read("peerwatt_secret_file");
	secret = secret:gsub("[\r\n]+$", "");
	if #secret < 32 then error(path .. ": the secret is shorter than 32 characters", 0); end
	local removed, made = {}, 0;
	for name in usermanager.users(host) do
		if not wanted[name] then removed[#removed + 1] = name; end
	end
	for _, name in ipairs(removed) do
		assert(usermanager.delete_user(name, host));
	end
	local kept = 0;
	for name in pairs(wanted) do
		local password = hashes.hmac_sha256(secret, name .. "@" .. host, true);
		if not usermanager.user_exists(name, host) then
			assert(usermanager.create_user(name, password, host));
			made = made + 1;
		elseif not usermanager.test_password(name, host, password) then
			assert(usermanager.set_password(name, password, host));
			made = made + 1;
		else
			kept = kept + 1;
		end
	end
	module:log("info", "accounts: %d made, %d kept, %d removed", made, kept, #removed);
end

-- A server without its accounts would refuse every agent for good: better none at all.
module:hook_global("server-started", function ()
	local ok, err = pcall(synchronise);
	if not ok then
		module:log("error", "%s", err);
		os.exit(1);
	end
end);

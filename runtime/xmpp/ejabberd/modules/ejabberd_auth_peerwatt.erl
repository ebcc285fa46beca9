%% Accounts of one community: those in a file, each with a SCRAM-SHA-256 verifier, and no others. Every node has the
%% file, which is read at each login, so a secret that is changed there counts at once (what becomes of open sessions:
%% mod_peerwatt_secrets). No password can be made, changed or taken back from a verifier here, and none is ever sent:
%% PLAIN is not offered.
%%
%% PEERWATT_HANDOUT/accounts.json: JSON object by account name (local part of its JID) of
%%   { "salt": ASCII text, "iteration_count": N, "stored_key": hexadecimal, "server_key": hexadecimal }

-module(ejabberd_auth_peerwatt).

-export([start/1, stop/1, plain_password_required/1, store_type/1, use_cache/1,
         get_password/2, user_exists/2, get_users/2, count_users/2, noted_login/0, stored_key/1, look/0]).

%% A server without its accounts would refuse every agent for good: better none at all.
start(_Host) ->
    case map_size(current()) of
        0 -> error({accounts, path(), "holds no accounts"});
        _ -> ok
    end.

stop(_Host) -> ok.

plain_password_required(_Host) -> true.

store_type(_Host) -> scram.

use_cache(_Host) -> false.

get_password(User, _Host) ->
    case current() of
        #{User := #{<<"salt">> := Salt, <<"iteration_count">> := Iterations,
                    <<"stored_key">> := StoredKey, <<"server_key">> := ServerKey}} ->
            put(?MODULE, {User, StoredKey}),
            {nocache, {ok, {scram, from_hex(StoredKey), from_hex(ServerKey), base64:encode(Salt), sha256,
                            Iterations}}};
        _ ->
            {nocache, error}
    end.

user_exists(User, _Host) ->
    {nocache, is_map_key(User, current())}.

get_users(Host, _Options) ->
    [{User, Host} || User <- maps:keys(current())].

count_users(_Host, _Options) ->
    map_size(current()).

%% What the calling process, a session, began to log in with last. Its login may be held back until the secret has
%% changed, so what the file says at the end of it is not what it knew.
noted_login() ->
    get(?MODULE).

%% An account's stored_key as the file said when it was read last; none if it had no such account.
stored_key(User) ->
    case persistent_term:get(?MODULE, {none, #{}}) of
        {_Text, #{User := #{<<"stored_key">> := StoredKey}}} -> StoredKey;
        _ -> none
    end.

%% Read the file; what is returned is another whenever the accounts are.
look() ->
    _ = current(),
    {Text, _Accounts} = persistent_term:get(?MODULE, {none, #{}}),
    Text.

%% Half a file, or none, never locks anybody out who was let in before: the accounts read last go on.
current() ->
    {Text, Accounts} = persistent_term:get(?MODULE, {none, #{}}),
    case file:read_file(path()) of
        {ok, Text} ->
            Accounts;
        {ok, Changed} ->
            try jiffy:decode(Changed, [return_maps]) of
                #{} = Decoded ->
                    persistent_term:put(?MODULE, {Changed, Decoded}),
                    Decoded;
                _ ->
                    complain("expected a JSON object by account name", Accounts)
            catch
                _:_ -> complain("expected a JSON object by account name", Accounts)
            end;
        {error, Reason} ->
            complain(file:format_error(Reason), Accounts)
    end.

complain(Reason, Accounts) ->
    logger:error("~ts: cannot be read: ~ts", [path(), Reason]),
    Accounts.

path() ->
    filename:join(os:getenv("PEERWATT_HANDOUT"), "accounts.json").

from_hex(Text) ->
    base64:encode(binary:decode_hex(Text)).

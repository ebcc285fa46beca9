%% Who has logged in may send longer stanzas than a stranger: 512 kB, as agents send bodies of up to 200 kB, which
%% grow when escaped for XML. The listener's own limit, max_stanza_size, is for all that comes before.

-module(mod_peerwatt_limits).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, logged_in/3]).

-define(LIMIT_BYTES, 512 * 1024).

start(Host, _Options) ->
    ejabberd_hooks:add(c2s_auth_result, Host, ?MODULE, logged_in, 50).

stop(Host) ->
    ejabberd_hooks:delete(c2s_auth_result, Host, ?MODULE, logged_in, 50).

reload(_Host, _New, _Old) -> ok.

depends(_Host, _Options) -> [].

mod_options(_Host) -> [].

mod_doc() -> #{}.

%% The stream is read anew after a login, by a parser that is made with its limit: here with the greater one.
logged_in(#{socket := {socket_state, SockMod, Socket, _, Parser, Shaper, Peer}} = State, true, _User) ->
    fxml_stream:close(Parser),
    New = fxml_stream:new(self(), ?LIMIT_BYTES),
    State#{socket := {socket_state, SockMod, Socket, ?LIMIT_BYTES, New, Shaper, Peer}};
logged_in(State, _Result, _User) ->
    State.

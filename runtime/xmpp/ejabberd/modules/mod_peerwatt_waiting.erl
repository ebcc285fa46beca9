%% Messages that come in the moment in which their recipient logs in. A session takes what is stored for it when it
%% says that it is there; of what is stored just then ejabberd leaves some until the next login, and loses some (one
%% that is written while the others are taken and removed). Between two nodes, of a steady stream of messages nearly
%% every login cost one. So
%% - what comes for a session that has not said yet that it is there waits a moment instead of being stored,
%% - a little after a message was stored it is looked whether somebody is there by then, who takes what waits.

-module(mod_peerwatt_waiting).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, absent/1, stored/1, told/2]).

-define(AGAIN_AFTER_MS, 50).
-define(MOST_TIMES, 100).
-define(LOOK_AFTER_MS, 200).

start(Host, _Options) ->
    ejabberd_hooks:add(offline_message_hook, Host, ?MODULE, absent, 10),
    ejabberd_hooks:add(offline_message_hook, Host, ?MODULE, stored, 90),
    ejabberd_hooks:add(c2s_handle_info, Host, ?MODULE, told, 50).

stop(Host) ->
    ejabberd_hooks:delete(offline_message_hook, Host, ?MODULE, absent, 10),
    ejabberd_hooks:delete(offline_message_hook, Host, ?MODULE, stored, 90),
    ejabberd_hooks:delete(c2s_handle_info, Host, ?MODULE, told, 50).

reload(_Host, _New, _Old) -> ok.

depends(_Host, _Options) -> [{mod_offline, hard}].

mod_options(_Host) -> [].

mod_doc() -> #{}.

%% Called where a message is routed to somebody who is not there, before mod_offline stores it.
absent({_Action, Packet} = Found) ->
    {User, Server, _} = jid:tolower(xmpp:get_to(Packet)),
    Times = xmpp:get_meta(Packet, ?MODULE, 0),
    case Times < ?MOST_TIMES andalso logs_in(User, Server) of
        true ->
            Again = xmpp:put_meta(Packet, ?MODULE, Times + 1),
            spawn(fun() -> timer:sleep(?AGAIN_AFTER_MS), ejabberd_sm:route(Again) end),
            {stop, {offlined, Packet}};
        false ->
            Found
    end.

%% Called after mod_offline has stored it, or has not.
stored({offlined, Packet} = Done) ->
    {User, Server, _} = jid:tolower(xmpp:get_to(Packet)),
    spawn(fun() -> timer:sleep(?LOOK_AFTER_MS), look(User, Server) end),
    Done;
stored(Done) ->
    Done.

%% Whether the account has a session that has not said yet that it is there.
logs_in(User, Server) ->
    Sessions = ejabberd_sm:get_user_resources(User, Server),
    length(Sessions) > length(ejabberd_sm:get_user_present_resources(User, Server)).

look(User, Server) ->
    [tell(ejabberd_sm:get_session_pid(User, Server, Resource))
     || {Priority, Resource} <- ejabberd_sm:get_user_present_resources(User, Server), Priority >= 0].

tell(none) -> ok;
tell(Session) -> Session ! {?MODULE, take}.

%% Called in a session's process, which takes what waits as if it had said only now that it is there.
told(#{pres_last := Presence} = State, {?MODULE, take}) ->
    mod_offline:c2s_self_presence({Presence, maps:remove(pres_last, State)}),
    {stop, State};
told(State, {?MODULE, take}) ->
    {stop, State};
told(State, _Other) ->
    State.

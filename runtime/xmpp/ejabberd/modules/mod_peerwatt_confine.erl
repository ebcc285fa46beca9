%% Accounts of a community have nothing to say to each other but messages: queries and presence to another account
%% are refused, since its agent would have to take them apart. (Contacts are not kept: there is no mod_roster.)
%%
%% And an account has one session, on all nodes together: a login ends the session before with "conflict", whatever
%% either is called. So whoever has an account's secret beside its agent has to take its place, which the agent notices,
%% and limits, which are by connection, are the account's. Of two logins at the same instant on two nodes either may not
%% see the other yet, so a session looks at the other nodes again a little later; what it finds there ends, and so may
%% it, but nobody stays unnoticed. (While the network between nodes is cut, each knows its own sessions only.)

-module(mod_peerwatt_confine).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, sent/1, opened/1, told/2]).

-define(LOOK_AGAIN_MS, 1000).

start(Host, _Options) ->
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, sent, 5),
    ejabberd_hooks:add(c2s_session_opened, Host, ?MODULE, opened, 50),
    ejabberd_hooks:add(c2s_handle_info, Host, ?MODULE, told, 50).

stop(Host) ->
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, sent, 5),
    ejabberd_hooks:delete(c2s_session_opened, Host, ?MODULE, opened, 50),
    ejabberd_hooks:delete(c2s_handle_info, Host, ?MODULE, told, 50).

reload(_Host, _New, _Old) -> ok.

depends(_Host, _Options) -> [].

mod_options(_Host) -> [].

mod_doc() -> #{}.

sent({Packet, #{jid := Sender} = State}) when element(1, Packet) =:= iq; element(1, Packet) =:= presence ->
    case concerns_nobody_else(element(1, Packet), xmpp:get_to(Packet), Sender) of
        true ->
            {Packet, State};
        false ->
            refuse(Packet),
            {stop, {drop, State}}
    end;
sent(Other) ->
    Other.

concerns_nobody_else(_Kind, undefined, _Sender) ->
    true;
concerns_nobody_else(Kind, To, Sender) ->
    {Own, Host, _} = jid:tolower(Sender),
    case jid:tolower(To) of
        {Own, Host, _} -> true;
        {<<>>, Host, _} -> Kind =:= iq;
        _ -> false
    end.

refuse(Packet) when element(1, Packet) =:= iq ->
    ejabberd_router:route_error(Packet, xmpp:err_service_unavailable());
refuse(_Presence) ->
    ok.

%% Both are called in the process of the session, which is among the account's by then.
opened(State) ->
    end_others(State, fun(_Session) -> true end),
    erlang:send_after(?LOOK_AGAIN_MS, self(), {?MODULE, look_again}),
    State.

told(State, {?MODULE, look_again}) ->
    end_others(State, fun(Session) -> node(Session) =/= node() end),
    {stop, State};
told(State, _Other) ->
    State.

end_others(#{user := User, server := Host, ip := {Address, _Port}}, Concerned) ->
    Others = [Session || {_Since, Session} <- ejabberd_sm:get_session_sids(User, Host),
                         Session =/= self(), Concerned(Session)],
    lists:foreach(
        fun(Session) ->
            logger:info("~ts: a login from ~ts takes the place of another session", [User, inet:ntoa(Address)]),
            ejabberd_c2s:route(Session, replaced)
        end, Others).

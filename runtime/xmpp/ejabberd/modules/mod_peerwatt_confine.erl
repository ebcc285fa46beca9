%% Accounts of a community have nothing to say to each other but messages: queries and presence to another account
%% are refused, since its agent would have to take them apart. (Contacts are not kept: there is no mod_roster.)

-module(mod_peerwatt_confine).
-behaviour(gen_mod).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, sent/1]).

start(Host, _Options) ->
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, sent, 5).

stop(Host) ->
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, sent, 5).

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

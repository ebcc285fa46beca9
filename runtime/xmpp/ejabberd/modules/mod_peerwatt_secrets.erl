%% Who logged in with a secret that has been changed since, or whose account is gone, is out within seconds: the file
%% of verifiers is looked at every two, and when it has changed each session of this node compares what it logged in
%% with. A session compares at the end of its login too, which it may have held back until after the change.

-module(mod_peerwatt_secrets).
-behaviour(gen_mod).
-behaviour(gen_server).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0, logged_in/3, told/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(LOOK_EVERY_MS, 2000).

start(Host, Options) ->
    ejabberd_hooks:add(c2s_auth_result, Host, ?MODULE, logged_in, 60),
    ejabberd_hooks:add(c2s_handle_info, Host, ?MODULE, told, 50),
    gen_mod:start_child(?MODULE, Host, Options).

stop(Host) ->
    ejabberd_hooks:delete(c2s_auth_result, Host, ?MODULE, logged_in, 60),
    ejabberd_hooks:delete(c2s_handle_info, Host, ?MODULE, told, 50),
    gen_mod:stop_child(?MODULE, Host).

reload(_Host, _New, _Old) -> ok.

depends(_Host, _Options) -> [].

mod_options(_Host) -> [].

mod_doc() -> #{}.

%% Called in a session's process.
logged_in(State, true, User) ->
    {User, StoredKey} = ejabberd_auth_peerwatt:noted_login(),
    self() ! {?MODULE, compare},
    State#{?MODULE => {User, StoredKey}};
logged_in(State, _Result, _User) ->
    State.

told(#{?MODULE := {User, StoredKey}} = State, {?MODULE, compare}) ->
    case ejabberd_auth_peerwatt:stored_key(User) of
        StoredKey ->
            {stop, State};
        none ->
            {stop, ended(State, User, xmpp:serr_not_authorized(<<"the account is gone">>, <<"en">>))};
        _Changed ->
            {stop, ended(State, User, xmpp:serr_reset(<<"the account's secret was changed">>, <<"en">>))}
    end;
told(State, {?MODULE, compare}) ->
    {stop, State};
told(State, _Other) ->
    State.

ended(State, User, Error) ->
    logger:warning("~ts: session ended, since its secret was changed or its account is gone", [User]),
    ejabberd_c2s:send(State, Error).

%% The process that looks; it keeps what it looked at last.
init(_Arguments) ->
    self() ! look,
    {ok, none}.

handle_call(_Request, _From, Seen) ->
    {reply, ok, Seen}.

handle_cast(_Request, Seen) ->
    {noreply, Seen}.

handle_info(look, Seen) ->
    erlang:send_after(?LOOK_EVERY_MS, self(), look),
    Now = ejabberd_auth_peerwatt:look(),
    [Session ! {?MODULE, compare} || Now =/= Seen, Session <- sessions()],
    {noreply, Now};
handle_info(_Other, Seen) ->
    {noreply, Seen}.

%% All of this node; none before it listens and after it has stopped to.
sessions() ->
    try
        [Session || {_, Session, _, _} <- supervisor:which_children(ejabberd_c2s_sup), is_pid(Session)]
    catch
        exit:{Reason, _} when Reason =:= noproc; Reason =:= shutdown -> []
    end.

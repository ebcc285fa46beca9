%% Starts a node of the community's cluster: it joins nodes that run already, or begins alone.
%%
%% One node after the other decides, under a lock of all that are up. Who finds a running node takes over its tables
%% and drops its own; who finds none begins with its own tables, the first node at once, another only after it has
%% waited for those before it. So nodes that start together do not begin apart, and the order in which they stopped
%% does not matter: nobody waits for a node that may never return.
%%
%% Nodes that carried on apart (the network between them was cut) cannot be joined as they are: the later in the list
%% ends, and whoever runs it starts it again, to join. Its agents meanwhile dial another node.
%%
%% PEERWATT_NODES         names of all nodes, this one's too, by spaces; empty: one node, without a cluster
%% PEERWATT_NODES_WAIT_S  how long another than the first waits for those before it

-module(peerwatt_cluster).

-export([start/0, running/0, members/0, peer_is_of_the_authority/3]).

-define(LOOK_AGAIN_MS, 500).
-define(LOOK_ROUND_MS, 5000).

start() ->
    Nodes = nodes_of_cluster(),
    Wait_ms = 1000 * list_to_integer(os:getenv("PEERWATT_NODES_WAIT_S", "30")),
    start(Nodes, erlang:monotonic_time(millisecond) + Wait_ms),
    Nodes =:= [] orelse spawn(fun() -> look_round(Nodes) end).

start([], _Until_ms) ->
    {ok, _} = ejabberd:start();
start([First | _] = Nodes, Until_ms) ->
    Up = [Node || Node <- Nodes -- [node()], net_adm:ping(Node) =:= pong],
    Alone = First =:= node() orelse erlang:monotonic_time(millisecond) > Until_ms,
    case global:trans({?MODULE, self()}, fun() -> join_or_begin(Up, Alone) end, [node() | Up]) of
        started ->
            ok;
        wait ->
            timer:sleep(?LOOK_AGAIN_MS),
            start(Nodes, Until_ms)
    end.

join_or_begin(Up, Alone) ->
    case [Node || Node <- Up, runs(Node)] of
        [Node | _] -> join(Node);
        [] when Alone -> begin_alone();
        [] -> wait
    end.

join(Node) ->
    logger:notice("~ts joins ~ts", [node(), Node]),
    _ = application:stop(mnesia),
    %% What the others remember of this node is of an earlier life.
    _ = rpc:call(Node, mnesia, del_table_copy, [schema, node()]),
    ok = start_what_it_needs(),
    ok = ejabberd_cluster_mnesia:join(Node),
    true = lists:member(Node, mnesia:system_info(running_db_nodes)),
    started.

begin_alone() ->
    ok = application:start(mnesia),
    %% Tables are taken as they are here, not waited for from nodes that may have had them later.
    Tables = mnesia:system_info(local_tables) -- [schema],
    [yes = mnesia:force_load_table(Table) || Table <- Tables],
    [{atomic, ok} = mnesia:del_table_copy(schema, Node) || Node <- mnesia:system_info(db_nodes) -- [node()]],
    ok = application:stop(mnesia),
    {ok, _} = ejabberd:start(),
    started.

start_what_it_needs() ->
    _ = application:load(ejabberd),
    {ok, Needed} = application:get_key(ejabberd, applications),
    lists:foreach(fun(Application) -> {ok, _} = application:ensure_all_started(Application) end, Needed).

%% Whether this node carries the community.
running() ->
    lists:keymember(ejabberd, 1, application:which_applications()).

%% Nodes that carry it together with this one.
members() ->
    lists:sort(mnesia:system_info(running_db_nodes)).

runs(Node) ->
    rpc:call(Node, ?MODULE, running, [], 5000) =:= true.

look_round(Nodes) ->
    timer:sleep(?LOOK_ROUND_MS),
    Before = lists:takewhile(fun(Node) -> Node =/= node() end, Nodes),
    Apart = [Node || Node <- Before, not lists:member(Node, members()), net_adm:ping(Node) =:= pong, runs(Node)],
    case Apart of
        [] ->
            look_round(Nodes);
        [Node | _] ->
            logger:error("~ts carried on apart from ~ts and ends, to be started again and join", [node(), Node]),
            ejabberd:halt()
    end.

%% The servers' certificate is for the community's domain, which is no node's name, and for a server, which here calls
%% another. Who holds its key is one of the nodes, since the authority signs for nobody else.
peer_is_of_the_authority(_Certificate, {bad_cert, hostname_check_failed}, State) -> {valid, State};
peer_is_of_the_authority(_Certificate, {bad_cert, invalid_ext_key_usage}, State) -> {valid, State};
peer_is_of_the_authority(_Certificate, {bad_cert, _} = Reason, _State) -> {fail, Reason};
peer_is_of_the_authority(_Certificate, {extension, _}, State) -> {unknown, State};
peer_is_of_the_authority(_Certificate, _Valid, State) -> {valid, State}.

nodes_of_cluster() ->
    [list_to_atom(Name) || Name <- string:lexemes(os:getenv("PEERWATT_NODES", ""), " ")].
